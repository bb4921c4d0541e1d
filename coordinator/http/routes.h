#pragma once
// Which handler answers a path. Filled once before the server starts, then read only.
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/http/types.h"

namespace sluice::coordinator {

/// Calls it; what it throws is logged and answered with 500.
void call_handler(const HttpHandler& handler, HttpRequest request, const std::shared_ptr<Responder>& out);

/// An error's body in the words of another API than OpenAI's.
using ErrorBody = nlohmann::json (*)(const ApiError& error, std::string_view request_id);

struct RouteOptions {
  bool open = false;                     // answers without an API key (health, metrics, version)
  bool admin = false;                    // changes things: wants an administrator's key
  ErrorBody errors = nullptr;            // of every error on this path, wherever it arose; null: OpenAI's shape
  std::string_view request_id_header{};  // the id under another name, too, which another API's clients read
  bool listed = true;                    // a part of the API, which /openapi.json describes
};

class HttpRoutes {
 public:
  /// An exact path. A GET route answers HEAD too.
  void add(std::string method, std::string path, HttpHandler handler, RouteOptions options = {});
  /// Every path below `prefix` (which ends in '/'); the handler finds what follows in HttpRequest::rest.
  void add_prefix(std::string method, std::string prefix, HttpHandler handler, RouteOptions options = {});

  /// All of `other`, each handler as `wrap` makes it.
  void add_all(const HttpRoutes& other, const std::function<HttpHandler(const HttpHandler&)>& wrap);

  struct Match {
    const HttpHandler* handler = nullptr;  // null: `allow` tells 404 (empty) from 405
    bool open = false;
    bool admin = false;
    ErrorBody errors = nullptr;
    std::string_view request_id_header;
    std::string route;  // the pattern, for metrics: bounded cardinality whatever clients ask for
    std::string rest;
    std::string allow;  // "GET, HEAD, OPTIONS" for a known path
  };
  /// A path that ends in '/' is the one without it, unless it has a route of its own: clients join paths as they will,
  /// and a redirect would lose a POST's body.
  [[nodiscard]] Match find(std::string_view method, std::string_view path) const;

  /// Method and pattern of each route that is listed; of a prefix "/below/*".
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> listed() const;

 private:
  struct Route {
    HttpHandler handler;
    RouteOptions options;
  };
  struct Entry {
    std::map<std::string, Route, std::less<>> methods;
  };
  [[nodiscard]] static Match match(const Entry& entry, std::string_view method, std::string_view pattern);

  std::map<std::string, Entry, std::less<>> exact_;
  std::map<std::string, Entry, std::less<>> prefixes_;
};

}  // namespace sluice::coordinator
