// docs/api.md lists every field that clients of this API are known to send, and what becomes of it. The page is held to
// the code here: what it calls refused is refused by name, what it calls supported is read, what it calls ignored
// changes nothing.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "tests/coordinator_api/request_bodies.h"

namespace sluice::test {
namespace {

using nlohmann::json;

struct Row {
  std::string field, of, is;
};

std::string cell(std::istringstream& line) {
  std::string text;
  std::getline(line, text, '|');
  const auto first = text.find_first_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::string bare(std::string text) {
  std::erase(text, '`');
  return text;
}

std::vector<Row> table() {
  std::ifstream page(SLUICE_SOURCE_DIR "/docs/api.md");
  std::vector<Row> rows;
  std::string text;
  bool inside = false;
  while (std::getline(page, text)) {
    if (text.starts_with("#")) inside = text == "### Every field";
    if (!inside || !text.starts_with("| `")) continue;
    std::istringstream line(text.substr(1));
    Row r;
    r.field = bare(cell(line));
    r.of = cell(line);
    r.is = bare(cell(line));
    rows.push_back(std::move(r));
  }
  return rows;
}

/// Values of every type, so that whatever type a field has, some are wrong.
const char* const kValues[] = {R"({"x":[]})", R"([{}])", R"("?")", "-3.5", "true", "false"};

std::optional<std::string> refused_param(bool chat, const std::string& field, const std::string& value) {
  const auto r = parse(chat, with(chat, fmt::format("\"{}\":{}", field, value)));
  return r ? std::nullopt : std::optional(r.error().param);
}

bool names(const std::optional<std::string>& param, const std::string& field) {
  return param && (*param == field || param->starts_with(field + ".") || param->starts_with(field + "["));
}

/// How many of the values are refused in the field's name.
int refusals(bool chat, const std::string& field) {
  int n = 0;
  for (const char* value : kValues) n += names(refused_param(chat, field, value), field) ? 1 : 0;
  return n;
}

TEST_CASE("the page's table of fields is what the code does") {
  const auto rows = table();
  REQUIRE(rows.size() > 100);
  constexpr std::string_view kOnly = "only ";
  for (const Row& r : rows)
    for (const bool chat : {false, true}) {
      REQUIRE((r.of == "both" || r.of == "chats" || r.of == "completions"));
      if (r.of == (chat ? "completions" : "chats")) continue;
      INFO((chat ? "chats: " : "completions: ") << r.field << " is " << r.is);
      const int refused = refusals(chat, r.field);
      if (r.is == "supported") {
        CHECK(refused > 0);
      } else if (r.is == "refused") {
        CHECK(refused == static_cast<int>(std::size(kValues)));
      } else if (r.is == "ignored") {
        CHECK(refused == 0);
      } else {
        REQUIRE(r.is.starts_with(kOnly));
        CHECK(refused > 0);
        CHECK_FALSE(refused_param(chat, r.field, r.is.substr(kOnly.size())));
      }
      if (r.field != "prompt" && r.field != "messages") CHECK_FALSE(refused_param(chat, r.field, "null"));
    }
}

}  // namespace
}  // namespace sluice::test
