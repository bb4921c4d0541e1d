#include "kvtransfer/transport/ucx_settings.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "kvtransfer/transport/ucx_connection.h"

namespace sluice::kv::ucx {
namespace {

/// Names apart from each other by commas.
std::vector<std::string> names(const std::string& list) {
  std::vector<std::string> out;
  std::istringstream in(list);
  for (std::string n; std::getline(in, n, ',');)
    if (!n.empty()) out.push_back(n);
  return out;
}

bool contains(const std::vector<std::string>& all, std::string_view name) {
  return std::ranges::find(all, name) != all.end();
}

bool lists(const std::string& tls, std::string_view name) { return contains(names(tls), name); }

}  // namespace

bool names_faster_than_tcp(const std::string& tls) {
  return std::ranges::any_of(names(tls), [](const std::string& t) { return t != "tcp" && t != "self"; });
}

Result<Config> configure(const UcxOptions& o) {
  const auto keepalive = std::clamp(o.keepalive, std::chrono::milliseconds(10), std::chrono::milliseconds(1000));
  const std::string segment = std::to_string(kSegmentBytes);
  std::vector<std::pair<const char*, std::string>> set{
      {"TLS", o.tls},
      {"KEEPALIVE_INTERVAL", fmt::format("{}ms", keepalive.count())},
      {"RNDV_THRESH", "inf"},    // rendezvous would hand memory keys to the peer: ADR 0003
      {"MAX_EAGER_RAILS", "1"},  // one lane keeps a connection's chunks in order
  };
  if (!o.net_devices.empty()) set.emplace_back("NET_DEVICES", o.net_devices);
  // The transports' own options go without their prefix (UCX 1.13 matches them that way).
  if (lists(o.tls, "tcp")) {
    set.insert(set.end(), {{"RX_SEG_SIZE", segment}, {"TX_SEG_SIZE", segment}, {"PUT_ENABLE", "n"}});
    if (!o.port_range.empty()) set.emplace_back("PORT_RANGE", o.port_range);
  }
  if (lists(o.tls, "posix") || lists(o.tls, "sysv"))
    set.insert(set.end(), {{"MM_SEG_SIZE", segment}, {"MM_ERROR_HANDLING", "y"}});
  SLUICE_ASSIGN(auto config, Config::read());
  for (const auto& [name, value] : set) SLUICE_TRY(config.set(name, value));
  return config;
}

namespace {

/// The devices by which the listed transports reach other machines, where only those of `names` may be used.
Result<std::vector<std::string>> network_devices(UcxOptions o, const std::string& names) {
  o.net_devices = names;
  SLUICE_ASSIGN(const auto config, configure(o));
  SLUICE_ASSIGN(const auto found, resources(config));
  std::vector<std::string> out;
  for (const auto& [transport, device] : found) {
    const bool local = device.starts_with("memory") || transport.starts_with("cuda") || transport.starts_with("rocm");
    if (!local && !contains(out, device)) out.push_back(device);
  }
  return out;
}

}  // namespace

Result<std::vector<FabricResource>> resources(const Config& config) {
  SLUICE_ASSIGN(const auto context, Context::create(config));
  std::vector<FabricResource> out;
  std::istringstream in(context.info());
  for (std::string line; std::getline(in, line);) {
    const auto slash = line.rfind('/');
    if (line.find(" resource ") == std::string::npos || slash == std::string::npos) continue;
    out.push_back({line.substr(0, slash).substr(line.rfind(' ', slash) + 1), line.substr(slash + 1)});
  }
  return out;
}

Result<> check_devices(const UcxOptions& o) {
  for (std::string name : names(o.net_devices)) {
    if (name.starts_with('^')) name.erase(0, 1);  // all but those that follow
    if (const auto found = network_devices(o, name); found && !found->empty()) continue;
    SLUICE_ASSIGN(const auto known, network_devices(o, "all"));
    return fail(Errc::invalid_argument, "no network device '{}' is here for the transports '{}', but: {}", name, o.tls,
                known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")));
  }
  return {};
}

std::string message_lane(const std::string& info) {
  std::istringstream in(info);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line + " ");
    std::string word, lane;
    bool is_lane = false, is_am = false;
    while (words >> word) {
      is_lane |= word.starts_with("lane[");
      is_am |= word == "am";
      if (is_lane && lane.empty() && word.find('/') != std::string::npos) lane = word;
    }
    if (!is_lane || !is_am) continue;
    lane = lane.substr(lane.find(':') + 1);
    return lane.substr(0, lane.rfind('.'));
  }
  return "unknown";
}

}  // namespace sluice::kv::ucx
