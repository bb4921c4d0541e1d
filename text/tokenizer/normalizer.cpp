#include "text/tokenizer/normalizer.h"

#include <algorithm>

#include "common/utf8.h"
#include "text/tokenizer/overload.h"

namespace sluice::text {
namespace {

std::string strip(std::string_view s, bool left, bool right) {
  while (left && !s.empty()) {
    const auto step = utf8_step(s);
    if (!is_white_space(step.code_point)) break;
    s.remove_prefix(step.length);
  }
  while (right && !s.empty()) {
    const auto start = utf8_last_start(s);
    if (!is_white_space(utf8_step(s.substr(start)).code_point)) break;
    s.remove_suffix(s.size() - start);
  }
  return std::string(s);
}

std::size_t non_space_bytes(std::string_view s) {
  std::size_t n = 0;
  for (; !s.empty(); s.remove_prefix(utf8_step(s).length))
    if (const auto step = utf8_step(s); !is_white_space(step.code_point)) n += step.length;
  return n;
}

/// No character is longer than 4 bytes or becomes less than one; composing several into one gains up to 4.5 (U+03B0
/// from mathematical letters in NFKC; 3.5 in NFC).
std::size_t shrink_factor_of(NormalForm form) { return form == NormalForm::nfkc ? 5 : 4; }

}  // namespace

Regex read_pattern(const JsonItem& pattern) {
  const auto literal = pattern.find("String");
  const auto item = literal ? *literal : pattern.at("Regex");
  if (literal && item.text().empty()) item.refuse(Errc::unsupported, "an empty pattern");
  auto regex = literal ? Regex::literal(item.text()) : Regex::compile(item.text());
  if (!regex) item.refuse(regex.error().code, "{}", regex.error().message);
  return *std::move(regex);
}

Result<std::string> replace_all(std::string_view s, const Regex& pattern, std::string_view by, MatchBudget& budget) {
  std::vector<ByteRange> matches;
  SLUICE_TRY(pattern.find_all(s, matches, budget));
  std::string out;
  out.reserve(s.size());
  std::size_t at = 0;
  for (const auto m : matches) {
    out.append(s.substr(at, m.begin - at)).append(by);
    at = m.end;
  }
  out.append(s.substr(at));
  return out;
}

Normalizer::Normalizer(const JsonItem& spec) {
  spec.for_each_component("normalizers", [this](const JsonItem& n) {
    const auto& type = n.type();
    if (type == "NFC") {
      steps_.emplace_back(NormalForm::nfc);
    } else if (type == "NFD") {
      steps_.emplace_back(NormalForm::nfd);
    } else if (type == "NFKC") {
      steps_.emplace_back(NormalForm::nfkc);
    } else if (type == "NFKD") {
      steps_.emplace_back(NormalForm::nfkd);
    } else if (type == "Prepend") {
      steps_.emplace_back(Prepend{n.at("prepend").text()});
    } else if (type == "Replace") {
      const auto literal = n.at("pattern").find("String");
      const auto& by = n.at("content").text();
      const bool shrinks =
          !literal || by.size() < literal->text().size() || non_space_bytes(by) < non_space_bytes(literal->text());
      steps_.emplace_back(Replace{read_pattern(n.at("pattern")), by, shrinks});
    } else if (type == "Strip") {
      steps_.emplace_back(Strip{n.boolean("strip_left", false), n.boolean("strip_right", false)});
    } else if (type == "Lowercase") {
      steps_.emplace_back(Lowercase{});
    } else {
      n.refuse(Errc::unsupported, "normalizer \"{}\" is not supported", type);
    }
  });
}

std::size_t Normalizer::shrink_factor() const {
  std::size_t factor = 1;
  for (const auto& step : steps_)
    factor *= std::visit(Overload{[](NormalForm form) { return shrink_factor_of(form); },
                                  [](const Replace& r) { return std::size_t{r.shrinks ? 0U : 1U}; },
                                  [](Lowercase) { return std::size_t{4}; },
                                  [](const auto& /*prepends, strips*/) { return std::size_t{1}; }},
                         step);
  return factor;
}

bool Normalizer::keeps_latin() const {
  return std::ranges::all_of(steps_, [](const auto& step) {
    const auto* form = std::get_if<NormalForm>(&step);
    const auto* replace = std::get_if<Replace>(&step);
    return form != nullptr ? *form == NormalForm::nfc
                           : !std::holds_alternative<Lowercase>(step) && !(replace != nullptr && replace->shrinks);
  });
}

bool Normalizer::strips_spaces() const {
  return std::ranges::any_of(steps_, [](const auto& step) { return std::holds_alternative<Strip>(step); });
}

Result<std::string> Normalizer::apply(std::string s, MatchBudget& budget) const {
  for (const auto& step : steps_) {
    auto next = std::visit(Overload{
                               [&](NormalForm form) -> Result<std::string> { return normalize(s, form); },
                               [&](const Prepend& p) -> Result<std::string> { return s.empty() ? s : p.text + s; },
                               [&](const Replace& r) { return replace_all(s, r.pattern, r.by, budget); },
                               [&](const Strip& t) -> Result<std::string> { return strip(s, t.left, t.right); },
                               [&](Lowercase) -> Result<std::string> { return to_lower(s); },
                           },
                           step);
    SLUICE_ASSIGN(s, std::move(next));
  }
  return s;
}

}  // namespace sluice::text
