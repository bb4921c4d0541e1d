#include "coordinator/ctl/load/recorded.h"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "common/json/parse.h"
#include "common/json/reader.h"
#include "coordinator/ctl/load/lines.h"

namespace sluice::ctl::load {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLeastTokens = 4, kMostPrompt = 1024, kMostTotal = 2048;  // vLLM's filter
constexpr std::size_t kLongText = 64 * kMostTotal;  // bytes that are too many tokens in any vocabulary
constexpr std::size_t kMaxItems = 10'000'000;
constexpr std::size_t kMaxMessages = 4096;
constexpr std::uint64_t kMaxTokens = 100'000'000;

struct Element {
  std::string_view text;
  std::size_t line = 0;
};

/// The elements of a JSON list, found by their brackets and strings alone: a file of gigabytes is not made JSON as a
/// whole, and each element is read strictly when it is looked at.
Result<std::vector<Element>> elements_of(std::string_view text) {
  const auto broken = [](std::size_t line, std::string_view why) {
    return fail(Errc::data_corrupt, "line {} of the ShareGPT file: {}", line, why);
  };
  std::vector<Element> found;
  std::size_t line = 1, depth = 0, begin = 0, begin_line = 0;
  bool in_string = false, ended = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (in_string) {
      if (c == '\\') {
        ++i;
        if (i < text.size() && text[i] == '\n') ++line;
      } else {
        in_string = c != '"';
      }
      continue;
    }
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    if (ended) return broken(line, "there is more behind the end of the list");
    if (depth == 0 && c != '[') return broken(line, "it must be a JSON list of conversations");
    if (depth == 1 && c != '{' && c != ',' && c != ']') return broken(line, "a conversation must be a JSON object");
    if (depth == 1 && c == '{') begin = i, begin_line = line;
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if (c != '}' && c != ']') continue;
    ended = --depth == 0;
    if (depth != 1) continue;
    if (found.size() == kMaxItems) return broken(line, "there are too many conversations");
    found.push_back({text.substr(begin, i + 1 - begin), begin_line});
  }
  if (!ended) return broken(line, "the list does not end; is the file whole?");
  if (found.empty()) return broken(line, "the list is empty");
  return found;
}

/// The first two messages; none where the conversation is shorter.
Result<std::vector<std::string>> first_two(const Element& e) {
  const std::string what = fmt::format("line {} of the ShareGPT file", e.line);
  SLUICE_ASSIGN(const json j, parse_json_object(e.text, {.what = what, .code = Errc::data_corrupt}));
  JsonReader in(j, {.what = what, .code = Errc::data_corrupt});
  JsonObject f = in.object();
  std::vector<std::string> said;
  f.need("conversations").each({}, [&](const JsonValue& message) {
    if (said.size() == 2) return;
    JsonObject m = message.object();
    m.need("value").into(said.emplace_back());
  });
  SLUICE_TRY(in.done());
  if (said.size() < 2) said.clear();
  return said;
}

/// Nothing where it does not fit the filter.
Result<std::optional<Turn>> turn_of(std::vector<std::string> said, const ShareGptRules& rules) {
  if (said.empty() || said[0].size() > kLongText || said[1].size() > kLongText) return std::nullopt;
  SLUICE_ASSIGN(const std::uint64_t prompt, rules.count_tokens(said[0]));
  SLUICE_ASSIGN(const std::uint64_t answer, rules.count_tokens(said[1]));
  const std::uint64_t most = rules.context > 0 ? std::min(rules.context, kMostTotal) : kMostTotal;
  if (prompt < kLeastTokens || answer < kLeastTokens || prompt > kMostPrompt || prompt + answer > most)
    return std::nullopt;
  Turn t;
  t.prompt.text = std::move(said[0]);
  t.input_tokens = prompt;
  t.output_tokens = answer;
  return t;
}

}  // namespace

Result<std::vector<Turn>> read_sharegpt(std::string_view text, const ShareGptRules& rules) {
  SLUICE_ASSIGN(auto all, elements_of(text));
  std::mt19937_64 random(rules.seed);
  for (std::size_t i = all.size() - 1; i > 0; --i) std::swap(all[i], all[random() % (i + 1)]);
  std::vector<Turn> turns;
  for (const Element& e : all) {
    if (turns.size() == rules.wanted) break;
    SLUICE_ASSIGN(auto said, first_two(e));
    SLUICE_ASSIGN(auto turn, turn_of(std::move(said), rules));
    if (turn) turns.push_back(std::move(*turn));
  }
  if (turns.empty())
    return fail(Errc::data_corrupt,
                "none of the file's {} conversations fits: two messages of at least {} tokens, prompts up to {}, both "
                "together up to {} and to the model's context",
                all.size(), kLeastTokens, kMostPrompt, kMostTotal);
  return turns;
}

Result<std::vector<Turn>> read_prompts(std::string_view text, const PromptFileRules& rules) {
  std::vector<Turn> turns;
  Lines lines(text);
  for (std::string_view line; lines.next(line);) {
    const std::string what = fmt::format("line {} of the prompts", lines.number());
    if (turns.size() == kMaxItems) return fail(Errc::data_corrupt, "{}: there are more than {}", what, kMaxItems);
    SLUICE_ASSIGN(const json j,
                  parse_json_object(line, {.what = what, .code = Errc::data_corrupt, .refuse_repeated = true}));
    JsonReader in(j, {.what = what, .code = Errc::data_corrupt});
    JsonObject f = in.object();
    Turn t;
    t.output_tokens = rules.output_len;
    const bool text_given = f.want("prompt").into(t.prompt.text, {.least = 1});
    const bool chat_given = f.want("messages").each({.least = 1, .most = kMaxMessages}, [](const JsonValue& v) {
      JsonObject m = v.object();
      std::string role;
      m.need("role").into(role, {.least = 1, .most = 64});
    });
    f.want("max_tokens").into(t.output_tokens, {.least = 1, .most = kMaxTokens});
    f.closed();
    SLUICE_TRY(in.done());
    if (text_given == chat_given) return fail(Errc::data_corrupt, "{}: give either 'prompt' or 'messages'", what);
    if (chat_given && !rules.chat) return fail(Errc::data_corrupt, "{}: 'messages' are for --endpoint chat", what);
    if (chat_given) t.prompt.messages = j.at("messages");
    turns.push_back(std::move(t));
  }
  if (turns.empty()) return fail(Errc::data_corrupt, "the file holds no prompt");
  return turns;
}

}  // namespace sluice::ctl::load
