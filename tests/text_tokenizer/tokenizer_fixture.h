#pragma once
// Tokenizers and reference encodings of tests/text_tokenizer/golden; tools/golden/tokenizer_corpus.py made them.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/utf8.h"
#include "text/tokenizer/tokenizer.h"
#include "text/unicode/unicode.h"

namespace sluice::text::test {

inline const std::vector<std::string> kFamilies{"llama3", "qwen2", "llama2", "mistral"};

inline std::filesystem::path golden_dir(const std::string& family) {
  return std::filesystem::path(SLUICE_SOURCE_DIR) / "tests/text_tokenizer/golden" / family;
}

inline Tokenizer load_or_throw(const std::filesystem::path& dir) {
  auto t = Tokenizer::load(dir);
  if (!t) throw std::runtime_error(t.error().message);
  return *std::move(t);
}

struct GoldenCase {
  std::string text;          // bytes, perhaps not UTF-8
  bool decode_only = false;  // there is no text, only ids
  std::vector<TokenId> ids;
  std::vector<TokenId> plain_ids;  // special tokens left as text
  std::string decoded;
  std::string decoded_with_special;
};

inline std::string from_base64(std::string_view in) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : in) {
    const auto v = kDigits.find(c);
    if (v == std::string_view::npos) break;
    bits = bits << 6U | static_cast<unsigned>(v);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>(bits >> static_cast<unsigned>(count) & 0xFFU));
  }
  return out;
}

inline std::vector<GoldenCase> golden_cases(const std::string& family) {
  std::ifstream in(golden_dir(family) / "cases.jsonl");
  std::vector<GoldenCase> out;
  std::string line;
  std::getline(in, line);  // the reference's version
  while (std::getline(in, line)) {
    const auto row = nlohmann::json::parse(line);
    GoldenCase c;
    c.decode_only = !row.contains("s") && !row.contains("b");
    if (row.contains("s")) c.text = row["s"];
    if (row.contains("b")) c.text = from_base64(row["b"].get<std::string>());
    c.ids = row["i"].get<std::vector<TokenId>>();
    c.plain_ids = row.value("p", c.ids);
    c.decoded = row.value("d", utf8_lossy(c.text));
    c.decoded_with_special = row.value("k", c.decoded);
    out.push_back(std::move(c));
  }
  return out;
}

}  // namespace sluice::text::test
