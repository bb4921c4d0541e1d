#pragma once
// What one rendering may cost, and how the interpreter gives up. A chat template comes with a model and its input
// from a stranger, so both are hostile: every loop, copy and scan of this module is charged here first. A long request
// may cost more than a short one: the limits grow with its bytes, so that a real document always renders.
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "common/result.h"

namespace sluice::text::jinja {

struct Limits {
  std::uint64_t max_steps = 50'000'000;  // nodes evaluated, plus one per 64 bytes or element scanned
  std::size_t max_output = 16 << 20;     // bytes of the rendered text
  std::size_t max_memory = 256 << 20;    // bytes of all values made, whether still held or not
  std::size_t free_input = 4096;         // bytes of a request that the limits above are for; each further one adds:
  std::uint64_t steps_per_byte = 20;
  std::size_t output_per_byte = 4;
  std::size_t memory_per_byte = 128;
  std::uint32_t max_depth = 1000;    // nesting of the template, of its evaluation and of macro calls
  std::size_t max_stack = 2 << 20;   // bytes of stack that this nesting may take
  std::uint32_t max_nesting = 500;   // lists and dicts inside each other
  std::size_t max_source = 1 << 20;  // bytes of the template
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

/// How deep the interpreter is in itself. Levels alone would not do: what a level takes of the stack differs.
class Depth {
 public:
  explicit Depth(const Limits& limits) : limits_(limits), base_(here()) {}
  void enter() {
    const std::uintptr_t now = here();
    const std::uintptr_t used = base_ > now ? base_ - now : now - base_;
    if (levels_ >= limits_.max_depth || used > limits_.max_stack)
      fault("the chat template nests deeper than {} levels", levels_);
    ++levels_;
  }
  void leave() noexcept { --levels_; }

 private:
  static std::uintptr_t here() { return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)); }

  const Limits& limits_;
  std::uintptr_t base_;
  std::uint32_t levels_ = 0;
};

/// Counts one level of recursion while it lives.
class Level {
 public:
  explicit Level(Depth& depth) : depth_(depth) { depth_.enter(); }
  ~Level() { depth_.leave(); }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Depth& depth_;
};

/// The running account of one rendering (or of reading one template).
class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}

  /// The request has so many bytes.
  void grow(std::size_t input_bytes) {
    if (input_bytes <= limits_.free_input) return;
    const std::size_t more = input_bytes - limits_.free_input;
    limits_.max_steps += more * limits_.steps_per_byte;
    limits_.max_output += more * limits_.output_per_byte;
    limits_.max_memory += more * limits_.memory_per_byte;
  }

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
  /// Making n things of `bytes` each, a product that may not fit a word.
  void memory(std::size_t n, std::size_t bytes) {
    if (bytes != 0 && n > limits_.max_memory / bytes)
      fault("the chat template needs more than {} bytes", limits_.max_memory);
    memory(n * bytes);
  }
  void output(std::size_t held, std::size_t more) {
    scan(more);
    if (more > limits_.max_output || held > limits_.max_output - more)
      fault("the chat template renders more than {} bytes", limits_.max_output);
  }
  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }
  [[nodiscard]] std::size_t memory_used() const noexcept { return memory_; }

 private:
  Limits limits_;
  std::uint64_t steps_ = 0;
  std::size_t memory_ = 0;
};

}  // namespace sluice::text::jinja
