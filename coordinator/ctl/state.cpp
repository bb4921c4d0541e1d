#include "coordinator/ctl/state.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

namespace sluice::ctl {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::size_t kMaxMembers = 4096;

const std::string* text_at(const json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_string() ? it->get_ptr<const std::string*>() : nullptr;
}

std::uint64_t number_at(const json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_number_unsigned() ? it->get<std::uint64_t>() : 0;
}

json member_json(const Member& m) {
  return {{"name", m.name},
          {"role", m.role},
          {"pid", m.process.pid},
          {"start_ticks", m.process.start_ticks},
          {"shared_memory", m.shared_memory}};
}

Result<Member> parse_member(const json& j) {
  if (!j.is_object()) return fail(Errc::data_corrupt, "a process must be an object");
  const auto* name = text_at(j, "name");
  const auto* role = text_at(j, "role");
  if (name == nullptr || role == nullptr) return fail(Errc::data_corrupt, "a process needs a name and a role");
  const std::uint64_t pid = number_at(j, "pid");
  // 1 is init, and kill() gives 0 and negative numbers a meaning of their own.
  if (pid < 2 || pid > static_cast<std::uint64_t>(std::numeric_limits<pid_t>::max()))
    return fail(Errc::data_corrupt, "'{}' has no usable pid", *name);
  const std::uint64_t start = number_at(j, "start_ticks");
  if (start == 0) return fail(Errc::data_corrupt, "'{}' has no start time", *name);
  Member m{*name, *role, {static_cast<pid_t>(pid), start}, {}};
  if (const auto it = j.find("shared_memory"); it != j.end() && it->is_array())
    for (const auto& f : *it)
      if (f.is_string()) m.shared_memory.push_back(f.get<std::string>());
  return m;
}

}  // namespace

std::string to_text(const ClusterState& s) {
  json members = json::array();
  for (const auto& m : s.members) members.push_back(member_json(m));
  const json j{{"version", kVersion}, {"url", s.url}, {"model", s.model}, {"processes", std::move(members)}};
  return j.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<ClusterState> parse_state(std::string_view text) {
  const json j = json::parse(text, nullptr, false);
  if (!j.is_object()) return fail(Errc::data_corrupt, "it is not a JSON object");
  if (number_at(j, "version") != kVersion)
    return fail(Errc::data_corrupt, "its version is not {}; another sluicectl wrote it", kVersion);
  const auto processes = j.find("processes");
  if (processes == j.end() || !processes->is_array() || processes->size() > kMaxMembers)
    return fail(Errc::data_corrupt, "it lists no processes");
  ClusterState s;
  if (const auto* url = text_at(j, "url")) s.url = *url;
  if (const auto* model = text_at(j, "model")) s.model = *model;
  for (const auto& p : *processes) {
    SLUICE_ASSIGN(auto member, parse_member(p));
    s.members.push_back(std::move(member));
  }
  return s;
}

Result<std::string> address_of_url(std::string_view url) {
  std::string_view rest = url;
  if (rest.starts_with("https://")) return fail_param("url", "'{}': only http:// is spoken here", url);
  if (rest.starts_with("http://")) rest.remove_prefix(7);
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
    return fail_param("url", "'{}' is not an address; write http://host:port", url);
  return std::string(rest);
}

}  // namespace sluice::ctl
