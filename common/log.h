#pragma once
// Structured logs: one event per line, as text or JSON, on standard error, with typed fields (request ids above all).
// Threading: thread-safe after init(). Failure: a line that cannot be written is dropped.
#include <fmt/format.h>

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace sluice::log {

enum class Level { debug, info, warn, error };

struct Field {
  template <class T>
  Field(std::string_view k, const T& v) : key(k), value(fmt::format("{}", v)), quoted(!std::is_arithmetic_v<T>) {}
  std::string_view key;
  std::string value;
  bool quoted;
};

/// Sets the process's identity on every line. format: "text" or "json"; level: debug, info, warn, error.
void init(std::string_view role, std::string_view node, std::string_view level, std::string_view format);

/// The line that write() would write now, without its end. In JSON each key is there once: a field named like one of
/// the line's own (ts, level, role, node, msg) is "event_<name>".
[[nodiscard]] std::string line(Level level, std::string_view message, std::span<const Field> fields);
void write(Level level, std::string_view message, std::initializer_list<Field> fields);

inline void debug(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::debug, m, f); }
inline void info(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::info, m, f); }
inline void warn(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::warn, m, f); }
inline void error(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::error, m, f); }

}  // namespace sluice::log
