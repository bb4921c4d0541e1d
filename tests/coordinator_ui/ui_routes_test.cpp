// The page's routes, and that its files keep to themselves: no inline code, nothing from elsewhere, nothing missing.
#include "coordinator/ui/ui_routes.h"

#include <catch2/catch.hpp>
#include <regex>
#include <set>

#include "coordinator/ui/ui_files.h"

using namespace sluice::coordinator;
using Catch::Matchers::Contains;

namespace {

struct Answer final : Responder {
  HttpResponse got;
  void respond(HttpResponse r) override { got = std::move(r); }
  [[nodiscard]] std::shared_ptr<StreamWriter> begin_stream(int, HttpHeaders) override { return nullptr; }
  void on_disconnect(std::function<void(Disconnect)>) override {}
  [[nodiscard]] bool closed() const override { return false; }
};

HttpRoutes page() {
  HttpRoutes routes;
  add_ui_routes(routes);
  return routes;
}

HttpResponse get(const std::string& path, const std::string& known = "") {
  const HttpRoutes routes = page();
  const auto match = routes.find("GET", path);
  REQUIRE(match.handler != nullptr);
  HttpRequest q{.method = "GET", .path = path};
  if (!known.empty()) q.headers.add("If-None-Match", known);
  const auto out = std::make_shared<Answer>();
  (*match.handler)(std::move(q), out);
  return out->got;
}

std::string header(const HttpResponse& r, std::string_view name) {
  return std::string(r.headers.find(name).value_or("-"));
}

std::set<std::string> matches(std::string_view text, const char* pattern) {
  const std::string s(text);
  const std::regex re(pattern);
  std::set<std::string> out;
  for (auto it = std::sregex_iterator(s.begin(), s.end(), re); it != std::sregex_iterator(); ++it)
    out.insert((*it)[1].str());
  return out;
}

}  // namespace

TEST_CASE("the page and its files are open to everybody, by GET and HEAD") {
  const HttpRoutes routes = page();
  for (const char* path : {"/ui", "/ui/", "/ui/app.js", "/ui/style.css", "/ui/icon.svg"}) {
    INFO(path);
    const auto match = routes.find("HEAD", path);
    CHECK(match.handler != nullptr);
    CHECK(match.open);
    CHECK(match.allow == "GET, HEAD, OPTIONS");
    CHECK(routes.find("POST", path).handler == nullptr);
  }
  CHECK(routes.find("GET", "/ui/none.js").allow.empty());
  CHECK(routes.find("GET", "/ui/..%2Fapp.js").allow.empty());
  CHECK(get("/ui").body == get("/ui/").body);
}

TEST_CASE("every file goes out with its type, a strict policy and a tag") {
  const std::map<std::string, std::string> types{{"/ui", "text/html; charset=utf-8"},
                                                 {"/ui/app.js", "text/javascript; charset=utf-8"},
                                                 {"/ui/style.css", "text/css; charset=utf-8"},
                                                 {"/ui/icon.svg", "image/svg+xml"}};
  for (const auto& [path, type] : types) {
    INFO(path);
    const auto r = get(path);
    CHECK(r.status == 200);
    CHECK_FALSE(r.body.empty());
    CHECK(header(r, "content-type") == type);
    CHECK(header(r, "cache-control") == "no-cache");
    CHECK(header(r, "x-content-type-options") == "nosniff");
    CHECK(header(r, "referrer-policy") == "no-referrer");
    CHECK(header(r, "content-security-policy") ==
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  }
}

TEST_CASE("a browser that has a file already is told so") {
  const std::string tag = header(get("/ui/app.js"), "etag");
  CHECK(tag.size() == 18);
  CHECK(tag != header(get("/ui/style.css"), "etag"));
  for (const std::string& known :
       {tag, "W/" + tag, "\"other\", " + tag, "\"other\" ,\tW/" + tag + " ", std::string("*")}) {
    INFO(known);
    const auto r = get("/ui/app.js", known);
    CHECK(r.status == 304);
    CHECK(r.body.empty());
    CHECK(header(r, "etag") == tag);
    CHECK(header(r, "content-security-policy") == kUiPolicy);
  }
  for (const std::string& other : {std::string("\"other\""), tag.substr(1, 16), std::string(",,"), std::string(" ")})
    CHECK(get("/ui/app.js", other).status == 200);
}

TEST_CASE("whatever the page and its modules name is here") {
  std::set<std::string> here;
  std::set<std::string> named;
  for (const auto& file : ui_files()) {
    here.insert(std::string(file.name));
    if (file.name.ends_with(".html")) named.merge(matches(file.text, R"re((?:href|src)="/ui/([^"]+)")re"));
    if (file.name.ends_with(".js")) named.merge(matches(file.text, R"re(from '\./([^']+)')re"));
  }
  for (const auto& name : named) CHECK(here.contains(name));
  here.erase("index.html");
  CHECK(here == named);  // and nothing is here that nobody asks for
}

TEST_CASE("no file reaches for another origin, and the page holds no code or style of its own") {
  for (const auto& file : ui_files()) {
    INFO(file.name);
    std::string text(file.text);
    for (const std::string ns = "http://www.w3.org/2000/svg"; text.find(ns) != std::string::npos;)
      text.erase(text.find(ns), ns.size());  // a name, not an address
    for (const char* outside : {"http://", "https://", "@import", "url(", "eval(", "new Function", "innerHTML",
                                "outerHTML", "insertAdjacentHTML", "document.write", "srcdoc"})
      CHECK(text.find(outside) == std::string::npos);
    for (const auto& href : matches(text, R"re((?:href|src)="([^"]*)")re")) CHECK((href[0] == '/' || href[0] == '#'));
    if (!file.name.ends_with(".html")) continue;
    CHECK(matches(text, R"re(\s(on[a-z]+)\s*=)re").empty());
    CHECK(matches(text, R"re(\s(style)\s*=)re").empty());
    CHECK(matches(text, R"re((<style))re").empty());
    CHECK(matches(text, R"re(<script(?![^>]* src=)([^>]*)>)re").empty());
  }
}
