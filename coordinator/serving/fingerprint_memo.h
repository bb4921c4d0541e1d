#pragma once
// answer_fingerprint() of many answers: most are of few kinds, and the text whose digest it is need not be made for
// each. Remembers the last kinds seen. Threading: none. Failure: none.
#include <array>
#include <string>

#include "coordinator/serving/session.h"

namespace sluice::coordinator {

class FingerprintMemo {
 public:
  /// Of an answer whose first token is here.
  [[nodiscard]] std::string of(const Session& s);

 private:
  /// All that answer_bits() reads of a leg whose transfer did not change its profile.
  struct Kind {
    ModelBits model;
    NodeBits prefill, decode;
    std::string profile;
    std::uint32_t cut = 0;
    bool local = false, lossless = false, split = false;
    std::string fingerprint;  // empty: no kind yet
  };
  [[nodiscard]] static bool is(const Kind& k, const Session& s);

  std::array<Kind, 16> kinds_;
  std::size_t next_ = 0;  // to be forgotten
};

}  // namespace sluice::coordinator
