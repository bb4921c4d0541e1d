#include "tools/bench/grammar_cases.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "text/grammar/sources.h"
#include "tools/bench/bench_util.h"

namespace sluice::bench {
namespace {

using namespace text::grammar;

class LongestFirst {
 public:
  explicit LongestFirst(const Vocabulary& v) {
    for (std::size_t i = 0; i < v.width(); ++i) {
      const auto bytes = v.bytes(static_cast<TokenId>(i));
      if (bytes.empty()) continue;
      ids_.try_emplace(bytes, static_cast<TokenId>(i));
      longest_ = std::max(longest_, bytes.size());
    }
  }
  [[nodiscard]] Result<std::vector<TokenId>> tokens(std::string_view text) const {
    std::vector<TokenId> out;
    while (!text.empty()) {
      auto size = std::min(longest_, text.size());
      while (size > 0 && !ids_.contains(text.substr(0, size))) --size;
      if (size == 0) return fail(Errc::invalid_argument, "no token spells byte {}", static_cast<int>(text[0]));
      out.push_back(ids_.at(text.substr(0, size)));
      text.remove_prefix(size);
    }
    return out;
  }

 private:
  std::unordered_map<std::string_view, TokenId> ids_;
  std::size_t longest_ = 0;
};

Result<Grammar> grammar_of(const nlohmann::ordered_json& c) {
  if (c.contains("ebnf")) return from_ebnf(c["ebnf"].get<std::string>());
  if (c.contains("regex")) return from_regex(c["regex"].get<std::string>());
  return from_json_schema(c.at("schema"));
}

Result<std::string> from_hex(std::string_view line) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); i += 2) {
    unsigned byte = 0;
    const auto two = line.substr(i, 2);
    const auto [end, error] = std::from_chars(two.data(), two.data() + two.size(), byte, 16);
    if (error != std::errc() || end != two.data() + 2)
      return fail(Errc::invalid_argument, "'{}' is not hexadecimal", line);
    out.push_back(static_cast<char>(byte));
  }
  return out;
}

}  // namespace

Result<std::vector<GrammarCase>> load_cases(const std::filesystem::path& file, const Vocabulary& vocabulary) {
  std::ifstream in(file);
  const auto all = nlohmann::ordered_json::parse(in, nullptr, false);
  if (!all.is_array()) return fail(Errc::not_found, "{} is no list of cases", file.string());
  const LongestFirst tokenizer(vocabulary);
  std::vector<GrammarCase> out;
  for (const auto& c : all) {
    GrammarCase made{.name = c.at("name")};
    std::optional<Result<Grammar>> grammar;
    made.source_ms = 1e3 * seconds_of(1, [&] { grammar = grammar_of(c); });
    if (!*grammar) return fail(grammar->error().code, "{}: {}", made.name, grammar->error().message);
    made.grammar = std::move(**grammar);
    for (const auto& d : c.at("documents")) {
      SLUICE_ASSIGN(auto tokens, tokenizer.tokens(d.get<std::string>()));
      made.documents.push_back(std::move(tokens));
    }
    out.push_back(std::move(made));
  }
  return out;
}

Result<std::shared_ptr<const Vocabulary>> load_vocabulary(const std::filesystem::path& file, TokenId eos) {
  std::ifstream in(file);
  if (!in) return fail(Errc::not_found, "cannot read {}", file.string());
  std::vector<std::string> bytes;
  for (std::string line; std::getline(in, line);) {
    SLUICE_ASSIGN(auto token, from_hex(line));
    bytes.push_back(std::move(token));
  }
  const auto width = bytes.size();
  return Vocabulary::create(std::move(bytes), width, {eos});
}

}  // namespace sluice::bench
