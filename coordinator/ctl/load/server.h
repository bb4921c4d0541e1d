#pragma once
// The server under load: where it is, and what it says of itself before the test. Any server that speaks OpenAI's API
// will do; what it lacks (a tokenizer, a version) is worked around and told.
// Threading: blocking calls, any thread. Failure: those of http::request; not_found when it serves no such model;
// invalid_argument names the flag.
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/client.h"
#include "common/http/wire.h"
#include "common/result.h"
#include "coordinator/ctl/load/options.h"
#include "coordinator/ctl/load/prompt.h"

namespace sluice::ctl::load {

struct Server {
  std::string address;                           // host:port
  std::shared_ptr<const tls::Context> tls = {};  // https; null: plain
  std::string base;                              // what stands before /v1; empty or "/..." without a slash at its end
  std::map<std::string, std::string> headers;

  std::string model;
  std::uint64_t context = 0;  // 0: it does not say
  std::string version;        // "sluice 1.2", "0.9.1"; empty: it does not say
  bool sluice = false;
  std::vector<std::uint32_t> tokens;  // ordinary ones, to make prompts of; empty: it has no /tokenize
  double tokens_per_word = 1.3;       // of our words; a guess without /tokenize

  [[nodiscard]] std::string path(std::string_view endpoint) const;  // of "completions" or "chat"
  [[nodiscard]] std::string url() const { return (tls ? "https://" : "http://") + address; }
  [[nodiscard]] http::MakeWire wire() const;
  [[nodiscard]] http::ClientRequest request(const std::string& method, const std::string& target) const;
};

/// Address, base and headers, of --url, --api-key and --header. Asks nobody.
[[nodiscard]] Result<Server> server_of(const LoadOptions& o);
/// Asks for models, version and tokens.
[[nodiscard]] Result<> look_at(Server& s, const LoadOptions& o);
/// Tokens that the server makes of a text; about a quarter of its bytes where it cannot say.
[[nodiscard]] Result<std::uint64_t> count_tokens(const Server& s, const std::string& text);

/// The message of an API error body, or the body itself, shortened.
[[nodiscard]] std::string error_words(int status, std::string_view body);

}  // namespace sluice::ctl::load
