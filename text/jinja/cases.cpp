// Upper, lower and title case of texts.
#include <algorithm>

#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

bool ascii(std::string_view s) {
  return std::ranges::all_of(s, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool cased(char32_t c) { return has(Property::lower, c) || has(Property::upper, c) || has(Property::title, c); }

/// A sigma that ends a word: behind a letter with case, and before none, over characters that case ignores.
bool final_sigma(std::string_view s, std::size_t at) {
  std::size_t i = at;
  char32_t c = 0;
  do {
    if (i == 0) return false;
    i = last_character(s.substr(0, i));
    c = character_at(s, i).code;
  } while (has(Property::case_ignorable, c));
  if (!cased(c)) return false;
  for (i = at + 2; i < s.size(); i += character_at(s, i).length) {
    c = character_at(s, i).code;
    if (!has(Property::case_ignorable, c)) return !cased(c);
  }
  return true;
}

void append_lower(std::string& out, std::string_view s, std::size_t i, char32_t c) {
  if (c == U'\u03A3' && final_sigma(s, i))
    append_character(out, U'\u03C2');
  else
    append_mapped(out, c, Case::lower);
}

/// F(out, text, byte, character) appends what the character becomes.
template <class F>
Text map_characters(const Text& s, Budget& budget, F f) {
  budget.memory(s.size() + s.size() / 16);
  budget.step(s.size() / 16);  // a character is more work than its bytes
  TextBuilder out(budget);
  std::string mapped;
  for (std::size_t i = 0; i < s.size();) {
    const Character c = character_at(s.bytes, i);
    mapped.clear();
    f(mapped, s.bytes, i, c.code);
    out.put(mapped, s.origin.typed_at(i));
    i += c.length;
  }
  Text text = out.take();
  text.markup = s.markup;
  return text;
}

template <Case to>
Text mapped(const Text& s, Budget& budget) {
  if (ascii(s.bytes)) {
    budget.memory(s.size());
    Text out = s;
    for (char& c : out.bytes)
      if (to == Case::upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z') c ^= 0x20;
    return out;
  }
  return map_characters(s, budget, [](std::string& out, std::string_view text, std::size_t i, char32_t c) {
    if (to == Case::lower)
      append_lower(out, text, i, c);
    else
      append_mapped(out, c, to);
  });
}

}  // namespace

Text upper(const Text& s, Budget& budget) { return mapped<Case::upper>(s, budget); }
Text lower(const Text& s, Budget& budget) { return mapped<Case::lower>(s, budget); }
Text casefold(const Text& s, Budget& budget) { return mapped<Case::fold>(s, budget); }

Text swapcase(const Text& s, Budget& budget) {
  return map_characters(s, budget, [](std::string& out, std::string_view text, std::size_t i, char32_t c) {
    if (has(Property::upper, c))
      append_lower(out, text, i, c);
    else if (has(Property::lower, c))
      append_mapped(out, c, Case::upper);
    else
      append_character(out, c);
  });
}

Text capitalize(const Text& s, Budget& budget) {
  return map_characters(s, budget, [](std::string& out, std::string_view text, std::size_t i, char32_t c) {
    if (i == 0)
      append_mapped(out, c, Case::title);
    else
      append_lower(out, text, i, c);
  });
}

Text title(const Text& s, Budget& budget) {
  bool inside = false;
  return map_characters(s, budget, [&](std::string& out, std::string_view text, std::size_t i, char32_t c) {
    if (inside)
      append_lower(out, text, i, c);
    else
      append_mapped(out, c, Case::title);
    inside = cased(c);
  });
}

namespace {

bool one_case(std::string_view s, Property wanted, Property other) {
  bool any = false;
  for (std::size_t i = 0; i < s.size();) {
    const Character c = character_at(s, i);
    if (has(other, c.code) || has(Property::title, c.code)) return false;
    any = any || has(wanted, c.code);
    i += c.length;
  }
  return any;
}

}  // namespace

bool is_lower(std::string_view s) { return one_case(s, Property::lower, Property::upper); }
bool is_upper(std::string_view s) { return one_case(s, Property::upper, Property::lower); }

bool is_title(std::string_view s) {
  bool any = false;
  bool inside = false;
  for (std::size_t i = 0; i < s.size();) {
    const Character c = character_at(s, i);
    const bool big = has(Property::upper, c.code) || has(Property::title, c.code);
    const bool small = has(Property::lower, c.code);
    if ((big && inside) || (small && !inside)) return false;
    inside = big || small;
    any = any || inside;
    i += c.length;
  }
  return any;
}

}  // namespace sluice::text::jinja
