#include "coordinator/openapi/openapi.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr const char* kPath = "/openapi.json";

std::string upper(std::string word) {
  std::ranges::transform(word, word.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return word;
}

/// A path template as a route's pattern: "/v1/models/{model}" is "/v1/models/*".
std::string pattern_of(const std::string& path) {
  const auto brace = path.find('{');
  return brace == std::string::npos ? path : path.substr(0, brace) + "*";
}

}  // namespace

json openapi_of(const HttpRoutes& routes) {
  json document = json::parse(openapi_document());
  document["info"]["version"] = SLUICE_VERSION;
  const auto listed = routes.listed();
  json paths = json::object();
  for (const auto& [path, operations] : document["paths"].items())
    for (const auto& [method, operation] : operations.items())
      if (std::ranges::find(listed, std::pair(upper(method), pattern_of(path))) != listed.end())
        paths[path][method] = operation;
  document["paths"] = std::move(paths);
  return document;
}

std::vector<std::string> undescribed(const HttpRoutes& routes) {
  const json document = json::parse(openapi_document());
  std::vector<std::pair<std::string, std::string>> described;
  for (const auto& [path, operations] : document["paths"].items())
    for (const auto& [method, operation] : operations.items()) described.emplace_back(upper(method), pattern_of(path));
  std::vector<std::string> missing;
  for (const auto& route : routes.listed())
    if (std::ranges::find(described, route) == described.end()) missing.push_back(route.first + " " + route.second);
  return missing;
}

void add_openapi_route(HttpRoutes& routes) {
  const auto text = std::make_shared<std::string>();
  routes.add("GET", kPath,
             [text](const HttpRequest&, const std::shared_ptr<Responder>& out) {
               out->respond({200, {{"content-type", "application/json"}}, *text});
             },
             {.open = true});
  *text = dump(openapi_of(routes));
}

}  // namespace sluice::coordinator
