#include "text/regex/compiler.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "common/utf8.h"
#include "text/unicode/properties.h"

namespace sluice::text::regex {
namespace {

constexpr std::size_t kMaxInstructions = 4096;
constexpr std::size_t kMaxSets = 256;
constexpr std::size_t kMaxAlternatives = 64;

bool may_be_empty(const Node& n) {
  switch (n.kind) {
    case Node::Kind::literal:
    case Node::Kind::set:
      return false;
    case Node::Kind::look:
    case Node::Kind::place:
      return true;
    case Node::Kind::repeat:
      return n.min == 0 || may_be_empty(*n.children.front());
    case Node::Kind::alternation:
      return std::ranges::any_of(n.children, [](const auto& c) { return may_be_empty(*c); });
    default:
      return std::ranges::all_of(n.children, [](const auto& c) { return may_be_empty(*c); });
  }
}

/// How many characters a lookbehind goes back; nothing if that varies.
std::optional<std::uint32_t> length_of(const Node& n) {
  constexpr std::uint32_t kMaxLength = 255;
  std::uint32_t sum = 0;
  switch (n.kind) {
    case Node::Kind::set:
      return 1;
    case Node::Kind::literal:
      for (std::string_view s = n.literal; !s.empty(); ++sum) s.remove_prefix(utf8_step(s).length);
      return sum;
    case Node::Kind::look:
    case Node::Kind::place:
      return 0;
    case Node::Kind::repeat: {
      const auto one = length_of(*n.children.front());
      if (n.min != n.max || !one || *one * n.min > kMaxLength) return std::nullopt;
      return *one * n.min;
    }
    case Node::Kind::alternation: {
      const auto first = length_of(*n.children.front());
      for (const auto& c : n.children)
        if (length_of(*c) != first) return std::nullopt;
      return first;
    }
    default:
      for (const auto& c : n.children) {
        const auto one = length_of(*c);
        if (!one || sum + *one > kMaxLength) return std::nullopt;
        sum += *one;
      }
      return sum;
  }
}

class Compiler {
 public:
  Result<Program> run(const Node& tree) {
    SLUICE_TRY(emit(tree));
    SLUICE_TRY(add({.op = Op::accept}));
    for (auto& choice : p_.choices)
      for (std::size_t k = 0; k < choice.targets.size(); ++k) {
        const auto bytes = what_may_come(choice.targets[k]);
        for (std::size_t b = 0; b < bytes.size(); ++b)
          if (bytes[b]) choice.by_byte[b] |= 1ULL << k;
      }
    for (std::uint32_t at = 0; at < p_.code.size(); ++at) {
      if (p_.code[at].op != Op::run) continue;
      p_.code[at].follows = static_cast<std::uint32_t>(p_.next_bytes.size());
      p_.next_bytes.push_back(what_may_come(at + 1));
    }
    p_.first = what_may_come(0);
    return std::move(p_);
  }

 private:
  [[nodiscard]] std::uint32_t here() const { return static_cast<std::uint32_t>(p_.code.size()); }

  Result<> add(Instruction i) {
    if (p_.code.size() == kMaxInstructions) return fail(Errc::resource_exhausted, "it is too long");
    p_.code.push_back(i);
    return {};
  }

  Result<std::uint32_t> set_index(const CodePointSet& set) {
    const auto known = std::ranges::find(sets_, set);
    if (known != sets_.end()) return static_cast<std::uint32_t>(known - sets_.begin());
    if (sets_.size() == kMaxSets) return fail(Errc::resource_exhausted, "it has too many classes");
    sets_.push_back(set);
    p_.sets.emplace_back(set);
    return static_cast<std::uint32_t>(sets_.size() - 1);
  }

  Result<> emit(const Node& n) {
    switch (n.kind) {
      case Node::Kind::literal:
        p_.literals.push_back(n.literal);
        return add({.op = Op::literal, .index = static_cast<std::uint32_t>(p_.literals.size() - 1)});
      case Node::Kind::set: {
        SLUICE_ASSIGN(const auto index, set_index(n.set));
        return add({.op = Op::set, .index = index});
      }
      case Node::Kind::concatenation:
        for (const auto& c : n.children) SLUICE_TRY(emit(*c));
        return {};
      case Node::Kind::alternation: {
        std::vector<const Node*> branches;
        for (const auto& c : n.children) branches.push_back(c.get());
        return emit_alternation(branches);
      }
      case Node::Kind::repeat:
        return emit_repeat(n);
      case Node::Kind::look:
        return emit_look(n);
      case Node::Kind::atomic:
        return emit_closed({.op = Op::atomic}, *n.children.front());
      case Node::Kind::place:
        if (n.place == Place::word_edge || n.place == Place::no_word_edge) {
          SLUICE_ASSIGN(p_.word_set, set_index(*unicode_property("word")));
        }
        return add({.op = Op::place, .place = n.place});
    }
    return {};
  }

  Result<std::uint32_t> add_choice() {
    p_.choices.emplace_back();
    SLUICE_TRY(add({.op = Op::choice, .index = static_cast<std::uint32_t>(p_.choices.size() - 1)}));
    return static_cast<std::uint32_t>(p_.choices.size() - 1);
  }

  Result<> emit_alternation(std::span<const Node* const> branches) {
    SLUICE_ASSIGN(const auto choice, add_choice());
    std::vector<std::uint32_t> jumps;
    for (std::size_t i = 0; i < branches.size(); ++i) {
      p_.choices[choice].targets.push_back(here());
      if (i + 1 == kMaxAlternatives && branches.size() > kMaxAlternatives) {
        SLUICE_TRY(emit_alternation(branches.subspan(i)));
        break;
      }
      SLUICE_TRY(emit(*branches[i]));
      jumps.push_back(here());
      SLUICE_TRY(add({.op = Op::jump}));
    }
    for (const auto at : jumps) p_.code[at].next = here();
    return {};
  }

  Result<> emit_repeat(const Node& n) {
    const auto& what = *n.children.front();
    if (n.max == 0) return {};
    if (what.kind == Node::Kind::set) {
      SLUICE_ASSIGN(const auto index, set_index(what.set));
      return add({.op = Op::run, .mode = n.mode, .index = index, .min = n.min, .max = n.max});
    }
    if (n.max > 1 && may_be_empty(what))
      return fail(Errc::unsupported, "a repeat of what may be empty is not supported");
    if (n.mode != Mode::possessive) return emit_loop(n, what);
    const auto at = here();
    SLUICE_TRY(add({.op = Op::atomic}));
    SLUICE_TRY(emit_loop(n, what));
    return close(at);
  }

  Result<> emit_loop(const Node& n, const Node& what) {
    for (std::uint32_t i = 0; i < n.min; ++i) SLUICE_TRY(emit(what));
    // `first` is what to try first: one more, or going on.
    const auto fill = [&](std::uint32_t choice, std::uint32_t body, std::uint32_t exit) {
      p_.choices[choice].targets = n.mode == Mode::lazy ? std::vector{exit, body} : std::vector{body, exit};
    };
    if (n.max == Node::kNoLimit) {
      const auto top = here();
      SLUICE_ASSIGN(const auto choice, add_choice());
      SLUICE_TRY(emit(what));
      SLUICE_TRY(add({.op = Op::jump, .next = top}));
      fill(choice, top + 1, here());
      return {};
    }
    std::vector<std::pair<std::uint32_t, std::uint32_t>> open;  // choices, and their bodies
    for (auto i = n.min; i < n.max; ++i) {
      SLUICE_ASSIGN(const auto choice, add_choice());
      open.emplace_back(choice, here());
      SLUICE_TRY(emit(what));
    }
    for (const auto& [choice, body] : open) fill(choice, body, here());
    return {};
  }

  Result<> emit_look(const Node& n) {
    const auto& inside = *n.children.front();
    Instruction look{.op = Op::look, .negative = n.negative};
    if (!n.behind) return emit_closed(look, inside);
    if (const auto length = length_of(inside)) {
      look.behind = *length;
      return emit_closed(look, inside);
    }
    // Alternatives of different lengths: one lookbehind each.
    if (inside.kind != Node::Kind::alternation)
      return fail(Errc::unsupported, "a lookbehind of varying length is not supported");
    std::vector<std::uint32_t> jumps;
    SLUICE_ASSIGN(const auto choice, n.negative ? Result<std::uint32_t>(0) : add_choice());
    for (const auto& branch : inside.children) {
      const auto length = length_of(*branch);
      if (!length) return fail(Errc::unsupported, "a lookbehind of varying length is not supported");
      look.behind = *length;
      if (n.negative) {
        SLUICE_TRY(emit_closed(look, *branch));
        continue;
      }
      if (p_.choices[choice].targets.size() == kMaxAlternatives)
        return fail(Errc::unsupported, "a lookbehind of so many lengths is not supported");
      p_.choices[choice].targets.push_back(here());
      SLUICE_TRY(emit_closed(look, *branch));
      jumps.push_back(here());
      SLUICE_TRY(add({.op = Op::jump}));
    }
    for (const auto at : jumps) p_.code[at].next = here();
    return {};
  }

  /// An instruction with a body of its own, which ends in `accept`.
  Result<> emit_closed(Instruction head, const Node& body) {
    const auto at = here();
    SLUICE_TRY(add(head));
    SLUICE_TRY(emit(body));
    return close(at);
  }

  Result<> close(std::uint32_t head) {
    SLUICE_TRY(add({.op = Op::accept}));
    p_.code[head].next = here();
    return {};
  }

  /// What the text may hold where the program stands at `start`: more than it can match, never less.
  [[nodiscard]] NextBytes what_may_come(std::uint32_t start) const {
    NextBytes out;
    std::vector<bool> seen(p_.code.size());
    std::vector<std::uint32_t> todo{start};
    while (!todo.empty()) {
      const auto at = todo.back();
      todo.pop_back();
      if (at >= seen.size() || seen[at]) continue;
      seen[at] = true;
      const auto& i = p_.code[at];
      switch (i.op) {
        case Op::literal:
          out.set(static_cast<std::uint8_t>(p_.literals[i.index].front()));
          break;
        case Op::set:
          out |= p_.sets[i.index].next_bytes();
          break;
        case Op::run:
          out |= p_.sets[i.index].next_bytes();
          if (i.min == 0) todo.push_back(at + 1);
          break;
        case Op::choice:
          todo.insert(todo.end(), p_.choices[i.index].targets.begin(), p_.choices[i.index].targets.end());
          break;
        case Op::jump:
        case Op::look:
          todo.push_back(i.next);
          break;
        case Op::atomic:
        case Op::place:
          todo.push_back(at + 1);
          break;
        case Op::accept:
          return out.set();
      }
    }
    return out;
  }

  Program p_;
  std::vector<CodePointSet> sets_;  // those of p_.sets
};

}  // namespace

Result<Program> compile(const Node& tree) { return Compiler().run(tree); }

}  // namespace sluice::text::regex
