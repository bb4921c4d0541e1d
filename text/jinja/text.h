#pragma once
// A str of the template language: its bytes, and beside them who wrote which: the template, or the client whose
// strings it renders. Nothing that a template asks of a text (in, split, ==, find, slices, len) sees the origin; it
// travels along, and at the end says which special tokens of the prompt are a client's and stay text.
// Values; a const Text may be read on several threads.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/budget.h"

namespace sluice::text::jinja {

/// Which bytes of a text a client typed: the state at its first byte, and where it changes. What is all of one kind,
/// as almost everything is, takes no memory.
class Origin {
 public:
  Origin() = default;  // nothing
  static Origin all_typed() {
    Origin o;
    o.first_ = true;
    return o;
  }
  Origin(const Origin& o) : turns_(o.turns_ ? std::make_unique<Turns>(*o.turns_) : nullptr), first_(o.first_) {}
  Origin& operator=(const Origin& o) { return *this = Origin(o); }
  Origin(Origin&&) noexcept = default;
  Origin& operator=(Origin&&) noexcept = default;
  ~Origin() = default;

  [[nodiscard]] bool typed_at(std::size_t i) const;
  /// The first typed byte at or after i; npos if there is none.
  [[nodiscard]] std::size_t next_typed(std::size_t i) const;
  /// Where the template's bytes around i, which is one of them, begin and end (npos: at the text's end).
  [[nodiscard]] std::pair<std::size_t, std::size_t> template_part(std::size_t i) const;
  /// How often it changes; what the account is charged for.
  [[nodiscard]] std::size_t turns() const noexcept { return turns_ ? turns_->size() : 0; }

  /// The origin of bytes [from, to) of another text, put behind `at` bytes of this one.
  void append(const Origin& o, std::size_t from, std::size_t to, std::size_t at);
  void append(bool typed, std::size_t at);

 private:
  using Turns = std::vector<std::size_t>;
  [[nodiscard]] bool last() const { return first_ != (turns() % 2 == 1); }
  void turn(std::size_t at);

  std::unique_ptr<Turns> turns_;
  bool first_ = false;
};

struct Text {
  std::string bytes{};
  Origin origin{};
  bool markup = false;  // what the filters escape and safe give (markupsafe.Markup)

  [[nodiscard]] bool empty() const noexcept { return bytes.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes.size(); }
};

/// Puts a text together. add() charges what it appends before it does; put() is for what was charged already.
class TextBuilder {
 public:
  explicit TextBuilder(Budget& budget) : budget_(budget) {}

  void add(std::string_view s) {
    budget_.memory(s.size());
    put(s, false);
  }
  void add(const Text& t) { add(t, 0, t.size()); }
  void add(const Text& t, std::size_t from, std::size_t to) {
    budget_.memory(to - from);
    put(t, from, to);
  }
  void put(std::string_view s, bool typed) {
    if (s.empty()) return;
    text_.origin.append(typed, size());
    text_.bytes += s;
  }
  void put(const Text& t, std::size_t from, std::size_t to) {
    if (from >= to) return;
    text_.origin.append(t.origin, from, to, size());
    text_.bytes.append(t.bytes, from, to - from);
  }
  /// The same text as this one, as many times; `n` may be anything.
  void repeat(const Text& t, std::size_t n);
  [[nodiscard]] std::size_t size() const noexcept { return text_.bytes.size(); }
  [[nodiscard]] Text take() {
    budget_.memory(text_.origin.turns(), sizeof(std::size_t));
    return std::move(text_);
  }
  [[nodiscard]] Budget& budget() const noexcept { return budget_; }

 private:
  Budget& budget_;
  Text text_;
};

/// Bytes [from, to) of a text.
[[nodiscard]] Text piece(const Text& t, std::size_t from, std::size_t to);

}  // namespace sluice::text::jinja
