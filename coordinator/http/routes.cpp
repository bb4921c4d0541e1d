#include "coordinator/http/routes.h"

#include "common/log.h"

namespace sluice::coordinator {

void call_handler(const HttpHandler& handler, HttpRequest request, const std::shared_ptr<Responder>& out) {
  const std::string path = request.path, id = request.request_id;
  try {
    handler(std::move(request), out);
  } catch (const std::exception& e) {
    log::error("http handler threw", {{"path", path}, {"request_id", id}, {"what", e.what()}});
    // A stream that had begun is cut when the handler's last reference goes.
    out->respond(error_response({500, "The server failed to handle the request.", "server_error", {}, "internal", {}}));
  }
}

void HttpRoutes::add(std::string method, std::string path, HttpHandler handler, RouteOptions options) {
  exact_[std::move(path)].methods[std::move(method)] = {std::move(handler), options};
}

void HttpRoutes::add_prefix(std::string method, std::string prefix, HttpHandler handler, RouteOptions options) {
  prefixes_[std::move(prefix)].methods[std::move(method)] = {std::move(handler), options};
}

void HttpRoutes::add_all(const HttpRoutes& other, const std::function<HttpHandler(const HttpHandler&)>& wrap) {
  const auto add = [&wrap](const auto& from, auto& to) {
    for (const auto& [path, entry] : from)
      for (const auto& [method, route] : entry.methods) to[path].methods[method] = {wrap(route.handler), route.options};
  };
  add(other.exact_, exact_);
  add(other.prefixes_, prefixes_);
}

std::vector<std::pair<std::string, std::string>> HttpRoutes::listed() const {
  std::vector<std::pair<std::string, std::string>> all;
  const auto add = [&](const auto& entries, std::string_view end) {
    for (const auto& [path, entry] : entries)
      for (const auto& [method, route] : entry.methods)
        if (route.options.listed) all.emplace_back(method, path + std::string(end));
  };
  add(exact_, "");
  add(prefixes_, "*");
  return all;
}

HttpRoutes::Match HttpRoutes::match(const Entry& entry, std::string_view method, std::string_view pattern) {
  Match m;
  m.route = pattern;
  m.open = true;
  for (const auto& [name, route] : entry.methods) {
    m.allow += name + ", ";
    if (name == "GET") m.allow += "HEAD, ";
    m.open = m.open && route.options.open;
    if (m.errors == nullptr) m.errors = route.options.errors;
    if (m.request_id_header.empty()) m.request_id_header = route.options.request_id_header;
  }
  m.allow += "OPTIONS";
  auto it = entry.methods.find(method == "HEAD" ? std::string_view("GET") : method);
  if (it == entry.methods.end()) return m;
  m.handler = &it->second.handler;
  m.open = it->second.options.open;
  m.admin = it->second.options.admin;
  return m;
}

HttpRoutes::Match HttpRoutes::find(std::string_view method, std::string_view path) const {
  if (auto it = exact_.find(path); it != exact_.end()) return match(it->second, method, it->first);
  if (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
    if (auto it = exact_.find(path); it != exact_.end()) return match(it->second, method, it->first);
  }
  // The longest prefix is the last one that sorts at or before the path and is a prefix of it.
  for (auto it = prefixes_.upper_bound(path); it != prefixes_.begin();) {
    --it;
    if (!path.starts_with(it->first) || path.size() == it->first.size()) continue;
    auto rest = percent_decode(path.substr(it->first.size()));
    if (!rest) return {};
    Match m = match(it->second, method, it->first + "*");
    m.rest = std::move(*rest);
    return m;
  }
  return {};
}

}  // namespace sluice::coordinator
