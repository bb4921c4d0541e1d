#include "text/jinja/text.h"

#include <algorithm>

namespace sluice::text::jinja {

bool Origin::typed_at(std::size_t i) const {
  if (!turns_) return first_;
  const auto passed = std::ranges::upper_bound(*turns_, i) - turns_->begin();
  return first_ != (passed % 2 == 1);
}

std::size_t Origin::next_typed(std::size_t i) const {
  if (typed_at(i)) return i;
  if (!turns_) return std::string::npos;
  const auto next = std::ranges::upper_bound(*turns_, i);
  return next == turns_->end() ? std::string::npos : *next;
}

std::pair<std::size_t, std::size_t> Origin::template_part(std::size_t i) const {
  if (!turns_) return {0, std::string::npos};
  const auto next = std::ranges::upper_bound(*turns_, i);
  return {next == turns_->begin() ? 0 : *(next - 1), next == turns_->end() ? std::string::npos : *next};
}

void Origin::turn(std::size_t at) {
  if (!turns_) turns_ = std::make_unique<Turns>();
  turns_->push_back(at);
}

void Origin::append(bool typed, std::size_t at) {
  if (at == 0)
    first_ = typed;
  else if (last() != typed)
    turn(at);
}

void Origin::append(const Origin& o, std::size_t from, std::size_t to, std::size_t at) {
  append(o.typed_at(from), at);
  if (!o.turns_) return;
  for (auto t = std::ranges::upper_bound(*o.turns_, from); t != o.turns_->end() && *t < to; ++t) turn(at + *t - from);
}

void TextBuilder::repeat(const Text& t, std::size_t n) {
  if (t.empty()) return;
  budget_.memory(n, t.size() + t.origin.turns() * sizeof(std::size_t));
  text_.bytes.reserve(size() + n * t.size());
  for (std::size_t i = 0; i < n; ++i) put(t, 0, t.size());
}

Text piece(const Text& t, std::size_t from, std::size_t to) {
  Text out{.bytes = t.bytes.substr(from, to - from), .markup = t.markup};
  if (from < to) out.origin.append(t.origin, from, to, 0);
  return out;
}

}  // namespace sluice::text::jinja
