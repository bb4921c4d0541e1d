#pragma once
// What binds an answer to a form: which tokens may come next, told by somebody who knows the form. The sampler asks it
// before each draw and shows it each token; the engine knows nothing of texts or grammars.
//
// The state follows from the tokens shown alone, so an answer that was resumed goes on as the first one would have.
// Threading: one thread's at a time. Failure: none; a token that may not come is refused.
#include <cstdint>
#include <span>

#include "common/ids.h"

namespace sluice::engine {

class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;
  /// bits: token id is bit id % 64 of word id / 64; every word is written. The model's end tokens are among them where
  /// the text may end.
  virtual void fill(std::span<std::uint64_t> bits) const = 0;
  /// False: this token may not come here, and nothing changed. After an end token nothing may.
  [[nodiscard]] virtual bool accept(TokenId token) = 0;
  /// The text so far is a whole one.
  [[nodiscard]] virtual bool may_end() const = 0;
  /// ... and nothing continues it.
  [[nodiscard]] virtual bool must_end() const = 0;
};

}  // namespace sluice::engine
