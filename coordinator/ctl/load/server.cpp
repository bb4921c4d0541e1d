#include "coordinator/ctl/load/server.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

#include "common/json/parse.h"
#include "common/net/address.h"
#include "coordinator/ctl/load/lines.h"

namespace sluice::ctl::load {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxErrorWords = 300;

/// The string at a key; empty for anything else.
std::string text_at(const json& j, const char* key) {
  if (!j.is_object()) return {};
  const auto it = j.find(key);
  return it != j.end() && it->is_string() ? it->get<std::string>() : std::string();
}

/// The list at a key; empty for anything else.
json list_at(const json& j, const char* key) {
  if (!j.is_object()) return json::array();
  const auto it = j.find(key);
  return it != j.end() && it->is_array() ? *it : json::array();
}

Errc code_of(int status) {
  if (status == 404 || status == 405) return Errc::not_found;
  return status == 401 || status == 403 ? Errc::permission_denied : Errc::internal;
}

Result<json> ask(const Server& s, const std::string& method, const std::string& target, const json& body = nullptr) {
  auto q = s.request(method, s.base + target);
  if (!body.is_null()) {
    q.headers["content-type"] = "application/json";
    q.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  SLUICE_ASSIGN(const auto r, http::request(q));
  if (r.status / 100 != 2)
    return fail(code_of(r.status), "{}{}: {}", s.address, s.base + target, error_words(r.status, r.body));
  const std::string what = s.address + s.base + target;
  return parse_json(r.body, {.what = what, .code = Errc::data_corrupt});
}

/// Plain text with every ASCII letter, beside each other letter: no special token is among what it is made of, whatever
/// the vocabulary.
std::string plain_text() {
  std::string text;
  for (char a = 'a'; a <= 'z'; ++a)
    for (char b = 'a'; b <= 'z'; ++b) text += std::string{' ', a, b, b, a};
  for (char c = ' '; c < 0x7f; ++c) text += c;
  return text;
}

/// Servers name the model in /tokenize's body or refuse its absence; ours and vLLM's take both.
Result<std::vector<std::uint32_t>> tokenize(const Server& s, const std::string& text) {
  SLUICE_ASSIGN(const json found,
                ask(s, "POST", "/tokenize", {{"model", s.model}, {"prompt", text}, {"add_special_tokens", false}}));
  std::vector<std::uint32_t> ids;
  for (const auto& id : list_at(found, "tokens"))
    if (id.is_number_unsigned()) ids.push_back(id.get<std::uint32_t>());
  if (ids.empty()) return fail(Errc::data_corrupt, "{} tokenizes nothing", s.address);
  return ids;
}

Result<> choose_model(Server& s, const std::string& wanted) {
  const auto models = ask(s, "GET", "/v1/models");
  if (!models && models.error().code == Errc::not_found && !wanted.empty()) {  // some servers have no list
    s.model = wanted;
    return {};
  }
  if (!models && models.error().code == Errc::unavailable)
    return fail(Errc::unavailable, "{}; `sluicectl up` starts a cluster, --url names a server elsewhere",
                models.error().message);
  if (!models) return std::unexpected(models.error());
  const json data = list_at(*models, "data");
  std::string all;
  for (const json& m : data) {
    const std::string id = text_at(m, "id");
    if (id.empty()) continue;
    all += (all.empty() ? "" : ", ") + shown(id);
    if (!s.model.empty() || (!wanted.empty() && id != wanted)) continue;
    s.model = id;
    s.sluice = text_at(m, "owned_by") == "sluice";
    const auto context = m.find("max_model_len");
    if (context != m.end() && context->is_number_unsigned()) s.context = context->get<std::uint64_t>();
  }
  if (!s.model.empty()) return {};
  if (all.empty()) return fail(Errc::unavailable, "{} serves no model", s.address);
  return fail(Errc::not_found, "{} does not serve '{}', but {}", s.address, wanted, all);
}

}  // namespace

std::string Server::path(std::string_view endpoint) const {
  return base + (endpoint == "chat" ? "/v1/chat/completions" : "/v1/completions");
}

http::ClientRequest Server::request(const std::string& method, const std::string& target) const {
  http::ClientRequest q;
  q.address = address;
  q.tls = tls;
  q.method = method;
  q.target = target;
  q.headers = headers;
  return q;
}

http::MakeWire Server::wire() const {
  if (!tls) return http::tcp_wire;
  const auto at = net::parse_address(address);
  return http::tls_wire(tls, at ? at->host : address);
}

Result<Server> server_of(const LoadOptions& o) {
  std::string_view rest = o.url;
  const bool secure = rest.starts_with("https://");
  if (secure || rest.starts_with("http://")) rest.remove_prefix(secure ? 8 : 7);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.ends_with("/v1")) rest.remove_suffix(3);
  Server s;
  if (secure) {
    s.tls = o.tls;
    if (!s.tls) {
      SLUICE_ASSIGN(s.tls, tls::Context::load({tls::Side::client, {}}));  // whom the system believes
    }
  }
  const auto slash = rest.find('/');
  s.address = rest.substr(0, slash);
  if (slash != std::string_view::npos) s.base = rest.substr(slash);
  const bool plain = std::ranges::all_of(s.base, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  const auto at = net::parse_address(s.address);
  if (!plain || s.base.find_first_of("?#") != std::string::npos || !at || at->port == 0)
    return fail_param("url", "'{}' is not an address; write http://host:port or http://host:port/base", shown(o.url));
  if (!o.api_key.empty()) s.headers["authorization"] = "Bearer " + o.api_key;
  for (const auto& h : o.headers) {
    const auto colon = h.find(':');
    std::string name = h.substr(0, colon);
    const bool word = !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '-' || c == '_';
    });
    if (colon == std::string::npos || !word)
      return fail_param("header", "'{}' is no header; write 'Name: value'", shown(h));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto value = h.find_first_not_of(' ', colon + 1);
    s.headers[name] = value == std::string::npos ? "" : h.substr(value);
  }
  return s;
}

Result<> look_at(Server& s, const LoadOptions& o) {
  SLUICE_TRY(choose_model(s, o.model));
  if (const auto version = ask(s, "GET", "/version")) s.version = shown(text_at(*version, "version"), 60);
  if (s.sluice) s.version = "Sluice " + s.version;
  if (auto ids = tokenize(s, plain_text())) {
    const std::set<std::uint32_t> once(ids->begin(), ids->end());
    s.tokens.assign(once.begin(), once.end());
    SLUICE_ASSIGN(const auto words, tokenize(s, Material::all_words()));
    s.tokens_per_word = static_cast<double>(words.size()) / static_cast<double>(Material::word_count());
  }
  return {};
}

Result<std::uint64_t> count_tokens(const Server& s, const std::string& text) {
  if (text.empty()) return 0;
  if (s.tokens.empty()) return (text.size() + 3) / 4;
  SLUICE_ASSIGN(const auto ids, tokenize(s, text));
  return ids.size();
}

std::string error_words(int status, std::string_view body) {
  if (const auto j = parse_json(body)) {
    const auto e = j->is_object() ? j->find("error") : j->end();
    if (j->is_object() && e != j->end()) {
      const std::string words = e->is_string() ? e->get<std::string>() : text_at(*e, "message");
      if (!words.empty()) return shown(words, kMaxErrorWords);
    }
    if (const std::string words = text_at(*j, "message"); !words.empty()) return shown(words, kMaxErrorWords);
  }
  return fmt::format("HTTP {} {}", status, shown(body, kMaxErrorWords));
}

}  // namespace sluice::ctl::load
