#pragma once
// What one rendering may cost, and how the interpreter gives up. A chat template comes with a model and its input
// from a stranger, so both are hostile: every loop, copy and scan below is charged here first.
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "common/result.h"

namespace sluice::text::jinja {

struct Limits {
  std::uint64_t max_steps = 5'000'000;  // nodes evaluated, plus one per 64 bytes or element scanned
  std::size_t max_output = 16 << 20;    // bytes of the rendered text
  std::size_t max_memory = 256 << 20;   // bytes of all values made, whether still held or not
  std::uint32_t max_depth = 128;        // nesting of evaluation, of values and of macro calls
  std::size_t max_source = 1 << 20;     // bytes of the template
};

/// How a fault travels inside the interpreter: thrown where it is found, caught at the two doors (ChatTemplate::parse
/// and ChatTemplate::render), which return Result. Returned at each of the hundreds of places that evaluate
/// something, it would bury the language's rules. Never leaves this module.
struct Fault {
  Error error;
};

template <class... A>
[[noreturn]] void fault(fmt::format_string<A...> f, A&&... args) {
  throw Fault{Error{Errc::invalid_argument, fmt::format(f, std::forward<A>(args)...), "messages"}};
}

/// The running account of one rendering.
class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}

  void step(std::uint64_t n = 1) {
    steps_ += n;
    if (steps_ > limits_.max_steps) fault("the chat template takes more than {} steps", limits_.max_steps);
  }
  /// Looking at n bytes or elements.
  void scan(std::size_t n) { step(1 + n / 64); }
  /// Looking for m bytes among n: the library's search is quadratic at worst.
  void search(std::size_t n, std::size_t m) { step(1 + (n / 64) * (1 + m / 64)); }
  /// Making a value of n bytes.
  void memory(std::size_t n) {
    scan(n);
    if (n > limits_.max_memory - memory_) fault("the chat template needs more than {} bytes", limits_.max_memory);
    memory_ += n;
  }
  void output(std::size_t held, std::size_t more) {
    scan(more);
    if (more > limits_.max_output || held > limits_.max_output - more)
      fault("the chat template renders more than {} bytes", limits_.max_output);
  }
  [[nodiscard]] std::uint32_t max_depth() const noexcept { return limits_.max_depth; }

 private:
  const Limits& limits_;
  std::uint64_t steps_ = 0;
  std::size_t memory_ = 0;
};

/// Counts one level of recursion while it lives.
class Level {
 public:
  Level(std::uint32_t& depth, std::uint32_t limit) : depth_(depth) {
    if (depth_ >= limit) fault("the chat template nests deeper than {} levels", limit);
    ++depth_;
  }
  ~Level() { --depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  std::uint32_t& depth_;
};

}  // namespace sluice::text::jinja
