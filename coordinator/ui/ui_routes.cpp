#include "coordinator/ui/ui_routes.h"

#include <fmt/format.h>

#include "coordinator/ui/ui_files.h"

namespace sluice::coordinator {
namespace {

std::string_view content_type(std::string_view name) {
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "text/html; charset=utf-8";
}

/// FNV-1a: tells versions of a file apart; nobody gains from making two alike.
std::string etag(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("\"{:016x}\"", h);
}

/// RFC 9110, 13.1.2: a list of tags, weak ones too, or any.
bool names(std::string_view list, std::string_view tag) {
  for (;;) {
    const auto comma = list.find(',');
    std::string_view one = list.substr(0, comma);
    one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
    one = one.substr(0, one.find_last_not_of(" \t") + 1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == tag || one == "*") return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

HttpHandler handler_of(const UiFile& file) {
  return [file, tag = etag(file.text)](const HttpRequest& q, const std::shared_ptr<Responder>& out) {
    HttpResponse r{200,
                   {{"content-type", std::string(content_type(file.name))},
                    {"etag", tag},
                    {"cache-control", "no-cache"},
                    {"content-security-policy", std::string(kUiPolicy)},
                    {"x-content-type-options", "nosniff"},
                    {"referrer-policy", "no-referrer"},
                    {"cross-origin-resource-policy", "same-origin"}},
                   {}};
    const auto known = q.headers.find("if-none-match");
    if (known && names(*known, tag))
      r.status = 304;
    else
      r.body = file.text;
    out->respond(std::move(r));
  };
}

}  // namespace

void add_ui_routes(HttpRoutes& routes) {
  for (const UiFile& file : ui_files()) {
    const std::string path = file.name == "index.html" ? "/ui" : fmt::format("/ui/{}", file.name);
    routes.add("GET", path, handler_of(file), {.open = true, .listed = false});
  }
}

}  // namespace sluice::coordinator
