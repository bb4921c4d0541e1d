#pragma once
// What a search has measured, on disk as it is measured: one JSON object a line, each line synced before the next
// measurement begins. A line that a crash cut short is dropped. Threading: one thread.
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/result.h"

namespace sluice::profiler {

class State {
 public:
  /// Opens or begins a file; path empty: memory only. invalid_argument if the file is of other measurements than
  /// `header` describes, naming what differs.
  [[nodiscard]] static Result<State> open(const std::string& path, const nlohmann::json& header);
  [[nodiscard]] static State in_memory() { return {}; }
  State(State&& other) noexcept;
  State& operator=(State&& other) noexcept;
  ~State();

  [[nodiscard]] const nlohmann::json* find(const std::string& kind, const std::string& id) const;
  [[nodiscard]] std::size_t count(const std::string& kind) const;
  Result<> add(const std::string& kind, const std::string& id, nlohmann::json figures);

 private:
  State() = default;
  Result<> read(const std::string& path, const nlohmann::json& header);
  Result<> append(const nlohmann::json& line);

  int file_ = -1;
  std::string path_;
  std::map<std::string, std::map<std::string, nlohmann::json>> found_;
};

}  // namespace sluice::profiler
