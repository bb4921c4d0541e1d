#include "text/regex/matcher.h"

#include <bit>

namespace sluice::text::regex {
namespace {

constexpr std::size_t kMaxPoints = 1U << 22U;  // 64 MiB

std::uint8_t byte_at(std::string_view s, std::size_t i) noexcept { return static_cast<std::uint8_t>(s[i]); }

/// The character at `i` of well-formed text, beyond ASCII; `i` moves past it.
char32_t decode(std::string_view s, std::size_t& i) noexcept {
  const char32_t lead = byte_at(s, i);
  const auto rest = [&](std::size_t k) { return static_cast<char32_t>(byte_at(s, i + k) & 0x3FU); };
  if (lead < 0xE0) {
    const auto c = (lead & 0x1FU) << 6U | rest(1);
    i += 2;
    return c;
  }
  if (lead < 0xF0) {
    const auto c = (lead & 0x0FU) << 12U | rest(1) << 6U | rest(2);
    i += 3;
    return c;
  }
  const auto c = (lead & 0x07U) << 18U | rest(1) << 12U | rest(2) << 6U | rest(3);
  i += 4;
  return c;
}

}  // namespace

void Matcher::spend(std::size_t steps) {
  if (steps <= steps_) {
    steps_ -= steps;
    return;
  }
  steps_ = 0;
  exhausted_ = true;
}

void Matcher::push(Point p) {
  if (points_.size() == kMaxPoints)
    exhausted_ = true;
  else
    points_.push_back(p);
}

std::size_t Matcher::before(std::size_t pos) const {
  do --pos;
  while ((byte_at(text_, pos) & 0xC0U) == 0x80U);
  return pos;
}

std::size_t Matcher::pass(const SetTable& set, std::size_t pos) const {
  if (pos == text_.size()) return pos;
  switch (set.first(byte_at(text_, pos))) {
    case SetTable::First::no:
      return pos;
    case SetTable::First::yes:
      return pos + 1;
    default:
      break;
  }
  auto next = pos;
  return set.contains(decode(text_, next)) ? next : pos;
}

bool Matcher::in_set(std::uint32_t set, std::size_t pos) const { return pass(p_.sets[set], pos) != pos; }

std::optional<ByteRange> Matcher::find(std::size_t from) {
  for (auto pos = from; !exhausted_; ++pos) {
    const auto begin = pos;
    while (pos < text_.size() && !p_.first[byte_at(text_, pos)]) ++pos;
    spend(pos - begin + 1);
    // A byte inside a character may look like one that begins a match, but is none.
    while (pos < text_.size() && (byte_at(text_, pos) & 0xC0U) == 0x80U) ++pos;
    if (pos == text_.size() && !p_.first[kEnd]) return std::nullopt;
    if (const auto end = match(0, pos)) return ByteRange{pos, *end};
    if (pos == text_.size()) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::size_t> Matcher::match(std::uint32_t at, std::size_t pos) {
  const auto base = points_.size();
  while (!exhausted_) {
    if (p_.code[at].op == Op::accept) {
      points_.resize(base);
      return pos;
    }
    if (step(at, pos)) continue;
    do {
      if (points_.size() == base || exhausted_) return std::nullopt;
    } while (!resume(at, pos));
  }
  points_.resize(base);
  return std::nullopt;
}

bool Matcher::step(std::uint32_t& at, std::size_t& pos) {
  const auto& i = p_.code[at];
  spend(1);
  switch (i.op) {
    case Op::literal: {
      const std::string_view literal = p_.literals[i.index];
      if (!text_.substr(pos).starts_with(literal)) return false;
      pos += literal.size();
      ++at;
      return true;
    }
    case Op::set: {
      const auto next = pass(p_.sets[i.index], pos);
      if (next == pos) return false;
      pos = next;
      ++at;
      return true;
    }
    case Op::run:
      return run(i, at, pos);
    case Op::choice: {
      const auto here = at;
      const auto& choice = p_.choices[i.index];
      return choose(here, choice.by_byte[pos < text_.size() ? byte_at(text_, pos) : kEnd], at, pos);
    }
    case Op::jump:
      at = i.next;
      return true;
    case Op::look:
      return look(i, at, pos);
    case Op::atomic: {
      const auto end = match(at + 1, pos);
      if (!end) return false;
      pos = *end;
      at = i.next;
      return true;
    }
    case Op::place:
      ++at;
      return holds(i.place, pos);
    case Op::accept:
      break;
  }
  return false;
}

bool Matcher::choose(std::uint32_t at, std::uint64_t alternatives, std::uint32_t& to, std::size_t pos) {
  if (alternatives == 0) return false;
  const auto first = std::countr_zero(alternatives);
  alternatives &= alternatives - 1;
  if (alternatives != 0) push({at, static_cast<std::uint32_t>(pos), alternatives});
  to = p_.choices[p_.code[at].index].targets[static_cast<std::size_t>(first)];
  return true;
}

bool Matcher::run(const Instruction& i, std::uint32_t& at, std::size_t& pos) {
  const auto& set = p_.sets[i.index];
  const auto begin = pos;
  const auto wanted = i.mode == Mode::lazy ? i.min : i.max;
  auto low = pos;  // where the run may end at the earliest
  std::uint32_t count = 0;
  for (; count < wanted; ++count) {
    const auto next = pass(set, pos);
    if (next == pos) break;
    pos = next;
    if (count + 1 == i.min) low = pos;
  }
  spend(pos - begin);
  if (count < i.min) return false;
  if (i.mode == Mode::greedy) return give_back(i, at, low, pos);
  if (i.mode == Mode::lazy && i.max > i.min) push({at, static_cast<std::uint32_t>(pos), i.min});
  ++at;
  return true;
}

/// Ends a run at the last place from `pos` back to `low` behind which the rest may match, and remembers those before.
bool Matcher::give_back(const Instruction& i, std::uint32_t& at, std::size_t low, std::size_t& pos) {
  const auto& follows = p_.next_bytes[i.follows];
  const auto end = pos;
  while (!follows[pos < text_.size() ? byte_at(text_, pos) : kEnd]) {
    if (pos == low) {
      spend(end - low);
      return false;
    }
    pos = before(pos);
  }
  spend(end - pos);
  if (pos > low) push({at, static_cast<std::uint32_t>(pos), low});
  ++at;
  return true;
}

bool Matcher::look(const Instruction& i, std::uint32_t& at, std::size_t pos) {
  bool found = true;
  for (std::uint32_t n = 0; n < i.behind && found; ++n) {
    if (pos == 0)
      found = false;
    else
      pos = before(pos);
  }
  found = found && match(at + 1, pos).has_value();
  at = i.next;
  return found != i.negative;
}

bool Matcher::resume(std::uint32_t& at, std::size_t& pos) {
  const auto point = points_.back();
  points_.pop_back();
  at = point.at;
  pos = point.text;
  const auto& i = p_.code[at];
  spend(1);
  if (i.op == Op::choice) return choose(point.at, point.more, at, pos);
  if (i.mode == Mode::greedy) {
    pos = before(pos);
    return give_back(i, at, point.more, pos);
  }
  const auto next = pass(p_.sets[i.index], pos);
  if (next == pos) return false;
  pos = next;
  if (point.more + 1 < i.max) push({at, static_cast<std::uint32_t>(pos), point.more + 1});
  ++at;
  return true;
}

bool Matcher::holds(Place place, std::size_t pos) const {
  const bool at_end = pos == text_.size();
  switch (place) {
    case Place::text_begin:
      return pos == 0;
    case Place::text_end:
      return at_end;
    case Place::text_end_or_last_newline:
      return at_end || (text_[pos] == '\n' && pos + 1 == text_.size());
    case Place::line_begin:
      return pos == 0 || (text_[pos - 1] == '\n' && !at_end);
    case Place::line_end:
      return at_end || text_[pos] == '\n';
    case Place::word_edge:
    case Place::no_word_edge:
      break;
  }
  const bool edge = (pos > 0 && in_set(p_.word_set, before(pos))) != in_set(p_.word_set, pos);
  return edge == (place == Place::word_edge);
}

}  // namespace sluice::text::regex
