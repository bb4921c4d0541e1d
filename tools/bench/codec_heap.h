#pragma once
// Counts what operator new gives to one thread, for figures of working memory. sluice-bench has its own operator new
// for that; what C libraries allocate inside (zstd, lz4) is not counted.
#include <cstddef>

namespace sluice::bench {

/// The calling thread's peak of live bytes above what it had when this was made.
class HeapPeak {
 public:
  HeapPeak();
  [[nodiscard]] std::size_t bytes() const;

 private:
  std::ptrdiff_t before_;
};

}  // namespace sluice::bench
