#include "text/jinja/typed_specials.h"

#include <algorithm>

namespace sluice::text {

namespace {

/// A byte that no special token holds, so that what ends a stretch does not pass for the beginning of one.
constexpr char kEnd = '\0';

/// Special tokens that lie whole in one stretch of the template's, found a stretch at a time.
class TemplateParts {
 public:
  TemplateParts(const jinja::Text& text, const FindTyped& find) : text_(text), find_(find) {}

  /// The token that begins at byte i, which is the template's, is so to its end. Asked with ascending i.
  [[nodiscard]] bool hold(std::size_t i) {
    if (i >= end_) {
      const auto [begin, end] = text_.origin.template_part(i);
      begin_ = begin;
      end_ = std::min(end, text_.size());
      starts_ = find_(text_.bytes.substr(begin_, end_ - begin_) + kEnd);
    }
    return std::ranges::binary_search(starts_, i + 1 - begin_);
  }

 private:
  const jinja::Text& text_;
  const FindTyped& find_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::vector<std::size_t> starts_;
};

}  // namespace

RenderedChat tell_typed(jinja::Text rendered, const FindTyped& find) {
  RenderedChat out;
  TemplateParts parts(rendered, find);
  for (const std::size_t start : find(rendered.bytes)) {
    const std::size_t begin = start - 1;
    std::size_t inside = start;
    if (!rendered.origin.typed_at(begin)) {
      if (parts.hold(begin)) continue;
      inside = rendered.origin.next_typed(begin);
      if (inside == std::string::npos) continue;  // what may begin one at the prompt's end is the template's
    }
    if (out.typed.empty() || out.typed.back() < inside) out.typed.push_back(inside);
  }
  out.text = std::move(rendered.bytes);
  return out;
}

}  // namespace sluice::text
