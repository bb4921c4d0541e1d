#include "coordinator/ctl/state.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "common/json/parse.h"
#include "common/json/reader.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::size_t kMaxMembers = 4096;

json member_json(const Member& m) {
  return {{"name", m.name},
          {"role", m.role},
          {"pid", m.process.pid},
          {"start_ticks", m.process.start_ticks},
          {"shared_memory", m.shared_memory}};
}

Member read_member(const JsonValue& v) {
  JsonObject f = v.object();
  Member m;
  f.need("name").into(m.name);
  f.need("role").into(m.role);
  // 1 is init, and kill() gives 0 and negative numbers a meaning of their own.
  f.need("pid").into(m.process.pid, {.least = 2});
  f.need("start_ticks").into(m.process.start_ticks, {.least = 1});
  if (const JsonValue files = f.want("shared_memory"); files.present() && files.raw().is_array())
    for (const json& file : files.raw())
      if (file.is_string()) m.shared_memory.push_back(file.get<std::string>());
  return m;
}

}  // namespace

std::vector<std::string> ClusterState::urls() const {
  std::vector<std::string> all;
  if (!url.empty()) all.push_back(url);
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

bool serves(const ClusterState& s) {
  return std::ranges::any_of(s.members, [](const Member& m) { return m.role == "coordinator" && alive(m.process); });
}

std::string to_text(const ClusterState& s) {
  json members = json::array();
  for (const auto& m : s.members) members.push_back(member_json(m));
  const json j{{"version", kVersion},
               {"url", s.url},
               {"other_urls", s.others},
               {"model", s.model},
               {"processes", std::move(members)}};
  return j.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<ClusterState> parse_state(std::string_view text) {
  SLUICE_ASSIGN(const json j, parse_json_object(text, {.what = "it", .code = Errc::data_corrupt}));
  JsonReader in(j, {.code = Errc::data_corrupt});
  JsonObject f = in.object();
  std::uint64_t version = 0;
  f.want("version").into(version);
  if (in.ok() && version != kVersion)
    return fail(Errc::data_corrupt, "its version is not {}; another sluicectl wrote it", kVersion);
  ClusterState s;
  f.want("url").into(s.url);
  f.want("other_urls").into(s.others, {.most = kMaxMembers});
  f.want("model").into(s.model);
  f.need("processes").each({.most = kMaxMembers}, [&](const JsonValue& v) { s.members.push_back(read_member(v)); });
  SLUICE_TRY(in.done());
  return s;
}

bool is_https(std::string_view url) { return url.starts_with("https://"); }

Result<std::string> address_of_url(std::string_view url) {
  std::string_view rest = url;
  if (is_https(rest))
    rest.remove_prefix(8);
  else if (rest.starts_with("http://"))
    rest.remove_prefix(7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.ends_with("/v1")) rest.remove_suffix(3);
  const auto colon = rest.rfind(':');
  unsigned port = 0;
  if (colon != std::string_view::npos && colon > 0) {
    const auto digits = rest.substr(colon + 1);
    const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (r.ec != std::errc() || r.ptr != digits.data() + digits.size()) port = 0;
  }
  if (port == 0 || port > 65535 || rest.find('/') != std::string_view::npos)
    return fail_param("url", "'{}' is not an address; write http://host:port or https://host:port", url);
  return std::string(rest);
}

}  // namespace sluice::ctl
