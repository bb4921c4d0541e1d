#include "common/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <nlohmann/json.hpp>

namespace sluice::log {
namespace {

struct Identity {
  std::string role, node;
  bool json = false;
};

Identity& identity() {
  static Identity id;
  return id;
}

spdlog::logger& logger() {
  static const auto l = [] {
    auto made = std::make_shared<spdlog::logger>("sluice", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *l;
}

spdlog::level::level_enum to_spd(Level l) {
  switch (l) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

constexpr std::string_view kNames[] = {"debug", "info", "warn", "error"};

std::string quote(std::string_view s) {
  return nlohmann::json(s).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string timestamp() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t s = static_cast<std::time_t>(ms / 1000);
  std::tm tm{};
  gmtime_r(&s, &tm);
  char buf[32];
  std::strftime(buf, sizeof buf, "%Y-%m-%dT%H:%M:%S", &tm);
  return fmt::format("{}.{:03}Z", buf, ms % 1000);
}

}  // namespace

void init(std::string_view role, std::string_view node, std::string_view level, std::string_view format) {
  identity() = Identity{std::string(role), std::string(node), format == "json"};
  logger().set_level(spdlog::level::from_str(level == "warn" ? "warning" : std::string(level)));
}

std::string line(Level level, std::string_view message, std::span<const Field> fields) {
  const Identity& id = identity();
  std::string out;
  auto it = std::back_inserter(out);
  const auto lv = kNames[static_cast<int>(level)];
  if (!id.json) {
    fmt::format_to(it, "{} {:5} {}{}{} {}", timestamp(), lv, id.role, id.node.empty() ? "" : "/", id.node, message);
    for (const Field& f : fields) fmt::format_to(it, " {}={}", f.key, f.quoted ? quote(f.value) : f.value);
    return out;
  }
  fmt::format_to(it, R"({{"ts":"{}","level":"{}","role":"{}","node":{},"msg":{})", timestamp(), lv, id.role,
                 quote(id.node), quote(message));
  std::vector<std::string> used{"ts", "level", "role", "node", "msg"};
  for (const Field& f : fields) {
    // Each key once: of readers that meet a key twice, some drop the line and others the writer's own name.
    std::string key(f.key);
    while (std::ranges::find(used, key) != used.end()) key.insert(0, "event_");
    fmt::format_to(it, ",\"{}\":{}", key, f.quoted ? quote(f.value) : f.value);
    used.push_back(std::move(key));
  }
  out += '}';
  return out;
}

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  auto& l = logger();
  if (!l.should_log(to_spd(level))) return;
  l.log(to_spd(level), line(level, message, fields));
}

}  // namespace sluice::log
