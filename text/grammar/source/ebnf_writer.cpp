// A grammar as EBNF. What is used in several places, or nested deep, becomes a rule of its own, so that the text is not
// larger than the grammar and can be read back within the limits.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/utf8.h"
#include "text/grammar/sources.h"

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kDeepest = 32;  // groups in groups within one rule

void append_escaped(std::string& out, char32_t c, std::string_view special) {
  if (c == '\n')
    out += "\\n";
  else if (c == '\t')
    out += "\\t";
  else if (c == '\r')
    out += "\\r";
  else if (c < 0x20 || c == 0x7F)
    fmt::format_to(std::back_inserter(out), "\\x{:02X}", static_cast<std::uint32_t>(c));
  else if (c < 0x7F && special.find(static_cast<char>(c)) != std::string_view::npos)
    out += fmt::format("\\{}", static_cast<char>(c));
  else if (c < 0x7F)
    out += static_cast<char>(c);
  else if (c <= 0xFFFF)
    fmt::format_to(std::back_inserter(out), "\\u{:04X}", static_cast<std::uint32_t>(c));
  else
    fmt::format_to(std::back_inserter(out), "\\U{:08X}", static_cast<std::uint32_t>(c));
}

class Writer {
 public:
  explicit Writer(const Grammar& g) : g_(g), uses_(g.nodes().size(), 0), names_(g.rules()), helper_(uses_.size()) {
    count();
    helpers();
  }

  std::string run() {
    used_.insert("root");
    // A root that is a rule is that rule, so that reading and writing again changes nothing.
    const auto& root = g_.node(g_.root());
    const bool is_rule = root.op == Op::rule && g_.rule_body(root.rule);
    if (is_rule) names_[root.rule] = "root";
    define("root", is_rule ? *g_.rule_body(root.rule) : g_.root());
    while (next_ < open_.size()) {
      const auto [name, body] = open_[next_++];
      define(name, body);
    }
    return std::move(out_);
  }

 private:
  /// How many places use a node, among those that the root reaches.
  void count() {
    std::vector<NodeIndex> work{g_.root()};
    std::vector<bool> seen(g_.rules(), false);
    uses_[g_.root()] = 1;
    while (!work.empty()) {
      const auto& n = g_.node(work.back());
      work.pop_back();
      for (const auto c : n.children)
        if (uses_[c]++ == 0) work.push_back(c);
      if (n.op != Op::rule || seen[n.rule]) continue;
      seen[n.rule] = true;
      if (const auto body = g_.rule_body(n.rule))
        if (uses_[*body]++ == 0) work.push_back(*body);
    }
  }

  /// Children are made before their parents: their depth is known.
  void helpers() {
    std::vector<std::size_t> depth(uses_.size(), 0);
    for (NodeIndex i = 0; i < uses_.size(); ++i) {
      const auto& n = g_.node(i);
      for (const auto c : n.children) depth[i] = std::max(depth[i], depth[c] + 1);
      const bool small = n.op == Op::rule || (n.op == Op::literal && n.bytes.size() <= 16) ||
                         (n.op == Op::chars && n.set.ranges().size() <= 4);
      if ((uses_[i] < 2 || small) && depth[i] < kDeepest) continue;
      helper_[i] = true;
      depth[i] = 0;
    }
  }

  std::string unique(std::string_view wanted) {
    std::string base;
    for (const char c : wanted.substr(0, 48)) {
      const bool word =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
      base += word ? c : '-';
    }
    if (base.empty() || (base[0] >= '0' && base[0] <= '9') || base[0] == '-') base.insert(0, "r");
    auto name = base;
    for (auto& n = numbers_[base]; !used_.insert(name).second;) name = fmt::format("{}-{}", base, ++n);
    return name;
  }

  void define(const std::string& name, NodeIndex body) {
    out_ += name;
    out_ += " ::= ";
    write(body, Place::rule);
    out_ += '\n';
  }

  enum class Place { rule, choice, sequence, repeat };

  void reference(NodeIndex i, Place place) {
    if (!helper_[i]) return write(i, place);
    auto& name = helper_names_[i];
    if (name.empty()) {
      name = unique("x");
      open_.emplace_back(name, i);
    }
    out_ += name;
  }

  void write(NodeIndex i, Place place) {
    const auto& n = g_.node(i);
    switch (n.op) {
      case Op::literal:
        out_ += '"';
        for (std::string_view rest = n.bytes; !rest.empty();) {
          const auto step = utf8_step(rest);
          rest.remove_prefix(step.length);
          append_escaped(out_, step.code_point, "\"\\");
        }
        out_ += '"';
        return;
      case Op::chars:
        return write(n.set);
      case Op::rule: {
        auto& name = names_[n.rule];
        if (name.empty()) {
          name = unique(g_.rule_name(n.rule));
          if (const auto body = g_.rule_body(n.rule)) open_.emplace_back(name, *body);
        }
        out_ += name;
        return;
      }
      case Op::sequence:
      case Op::choice: {
        if (n.children.empty()) {
          out_ += n.op == Op::sequence ? "\"\"" : "[]";
          return;
        }
        if (n.children.size() == 1) return reference(n.children.front(), place);  // what pruning left
        const auto own = n.op == Op::sequence ? Place::sequence : Place::choice;
        const bool group = place >= own;
        if (group) out_ += '(';
        for (std::size_t c = 0; c < n.children.size(); ++c) {
          if (c > 0) out_ += n.op == Op::sequence ? " " : " | ";
          reference(n.children[c], own);
        }
        if (group) out_ += ')';
        return;
      }
      case Op::repeat: {
        if (place == Place::repeat) out_ += '(';
        reference(n.children.front(), Place::repeat);
        if (n.most == Node::kUnbounded)
          out_ += n.least == 0 ? "*" : n.least == 1 ? "+" : fmt::format("{{{},}}", n.least);
        else if (n.least == 0 && n.most == 1)
          out_ += '?';
        else
          out_ += n.least == n.most ? fmt::format("{{{}}}", n.least) : fmt::format("{{{},{}}}", n.least, n.most);
        if (place == Place::repeat) out_ += ')';
        return;
      }
    }
  }

  void write(const CodePointSet& set) {
    out_ += '[';
    for (const auto r : set.ranges()) {
      append_escaped(out_, r.first, "\\[]^-\"");
      if (r.last == r.first) continue;
      if (r.last > r.first + 1) out_ += '-';
      append_escaped(out_, r.last, "\\[]^-\"");
    }
    out_ += ']';
  }

  const Grammar& g_;
  std::vector<std::size_t> uses_;
  std::vector<std::string> names_;  // of rules
  std::vector<bool> helper_;
  std::map<NodeIndex, std::string> helper_names_;
  std::map<std::string, std::size_t> numbers_;
  std::set<std::string> used_;
  std::vector<std::pair<std::string, NodeIndex>> open_;
  std::size_t next_ = 0;
  std::string out_;
};

}  // namespace

GrammarLimits wire_limits(const GrammarLimits& limits) {
  auto out = limits;
  out.nodes = 4 * limits.nodes;  // check() allows two links a node
  out.depth = std::max<std::size_t>(limits.depth, 4 * kDeepest);
  return out;
}

std::string to_ebnf(const Grammar& grammar) {
  if (grammar.nodes().empty()) return "root ::= \"\"\n";
  return Writer(grammar).run();
}

}  // namespace sluice::text::grammar
