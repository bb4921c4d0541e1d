#pragma once
// A model's text side small enough to reason about in a test: one token per byte, so that characters split across
// tokens whenever they are not ASCII. 256 is BOS, 257 is EOS; both are special.
#include <memory>
#include <string_view>

#include "coordinator/api/model_text.h"

namespace sluice::test {

inline constexpr TokenId kFakeBos = 256;
inline constexpr TokenId kFakeEos = 257;
inline constexpr int kFakeVocab = 258;

/// Holds back the bytes of an unfinished character, as the real one does.
class FakeDetokenizer final : public coordinator::Detokenizer {
 public:
  explicit FakeDetokenizer(bool skip_special) : skip_special_(skip_special) {}
  std::string push(TokenId id) override {
    if (id >= 256) return skip_special_ ? "" : id == kFakeBos ? "<s>" : "</s>";
    held_.push_back(static_cast<char>(id));
    auto lead = static_cast<unsigned char>(held_[0]);
    std::size_t want = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    return held_.size() < want ? "" : std::exchange(held_, {});
  }
  std::string finish() override { return std::exchange(held_, {}).empty() ? "" : "\xEF\xBF\xBD"; }

 private:
  bool skip_special_;
  std::string held_;
};

class FakeModelText final : public coordinator::ModelText {
 public:
  Result<std::vector<TokenId>> encode(const coordinator::PromptText& prompt, bool add_special) const override {
    std::vector<TokenId> ids;
    if (add_special) ids.push_back(kFakeBos);
    for (char c : prompt.text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::size_t least_tokens(std::string_view text) const override { return text.size(); }
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override {
    FakeDetokenizer d(skip_special);
    std::string s;
    for (TokenId id : ids) s += d.push(id);
    return s + d.finish();
  }
  std::string token_bytes(TokenId id) const override {
    return id == kFakeBos ? "<s>" : id == kFakeEos ? "</s>" : std::string(1, static_cast<char>(id));
  }
  std::unique_ptr<coordinator::Detokenizer> detokenizer(bool skip_special, std::span<const TokenId> /*context*/,
                                                        bool /*keep_markup*/) const override {
    return std::make_unique<FakeDetokenizer>(skip_special);
  }
  std::string_view tool_template() const override { return "<tool_call>"; }
  /// "role:content\n" per message, "assistant:" at the end; refuses a role "tool".
  Result<coordinator::PromptText> render_chat(const coordinator::ChatPrompt& p) const override {
    std::string s;
    for (const auto& t : p.tools) s += "[" + t["function"]["name"].get<std::string>() + "]";
    for (const auto& m : p.messages) {
      if (m["role"] == "tool") return fail(Errc::invalid_argument, "this template knows no tools");
      s += m["role"].get<std::string>() + ":" + m["content"].get<std::string>() + "\n";
    }
    return coordinator::PromptText{p.add_generation_prompt ? s + "assistant:" : s};
  }
};

}  // namespace sluice::test
