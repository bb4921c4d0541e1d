#include "decode_node/grammar_constraint.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "text/grammar/sources.h"
#include "text/grammar/vocabulary.h"
#include "text/tokenizer/tokenizer.h"

namespace sluice::decode {
namespace {

namespace grammar = text::grammar;

class GrammarConstraint final : public engine::TokenConstraint {
 public:
  GrammarConstraint(AutomatonPtr automaton, Histogram mask_seconds)
      : matcher_(std::move(automaton)), mask_seconds_(std::move(mask_seconds)) {}

  void fill(std::span<std::uint64_t> bits) const override {
    const SteadyClock clock;
    const TimePoint begin = clock.now();
    matcher_.fill(bits);
    mask_seconds_.observe(seconds(clock.now() - begin));
  }
  bool accept(TokenId token) override { return matcher_.accept(token); }
  bool may_end() const override { return matcher_.may_end(); }
  bool must_end() const override { return matcher_.must_end(); }

 private:
  grammar::Matcher matcher_;
  Histogram mask_seconds_;
};

}  // namespace

VocabularyPtr vocabulary_of(const text::Tokenizer& tokenizer, std::size_t logits, std::vector<TokenId> eos) {
  std::vector<std::string> bytes(std::min(tokenizer.vocab_size(), logits));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const bool ends = std::ranges::find(eos, id) != eos.end();
    if (!ends && (!tokenizer.is_special(id) || tokenizer.is_markup(id))) bytes[i] = tokenizer.token_bytes(id);
  }
  return grammar::Vocabulary::create(std::move(bytes), logits, std::move(eos));
}

Compiled compile_grammar(const std::string& ebnf, VocabularyPtr vocabulary) {
  SLUICE_ASSIGN(const grammar::Grammar read, grammar::from_ebnf(ebnf));
  return grammar::Automaton::compile(read, std::move(vocabulary));
}

Result<std::unique_ptr<engine::TokenConstraint>> follow(const AutomatonPtr& automaton, std::span<const TokenId> sent,
                                                        Histogram mask_seconds) {
  auto constraint = std::make_unique<GrammarConstraint>(automaton, std::move(mask_seconds));
  for (const TokenId t : sent)
    if (!constraint->accept(t))
      return fail(Errc::internal, "token {} of the answer so far is not what its grammar allows", t);
  return std::unique_ptr<engine::TokenConstraint>(std::move(constraint));
}

}  // namespace sluice::decode
