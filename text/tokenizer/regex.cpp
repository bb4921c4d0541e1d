#include "text/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "text/unicode/unicode.h"

namespace sluice::text {
namespace {

constexpr std::uint32_t kMatchLimit =
    10'000'000;  // backtracking steps of one match; honest patterns need a few per byte
constexpr std::size_t kJitStackBytes = 1U << 20U;
constexpr std::size_t kMaxPatternBytes = 1U << 16U;
// In Oniguruma ^ and $ always match at line ends, and only \n ends a line.
constexpr std::uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_AUTO_CAPTURE;

/// Rewrites an Oniguruma pattern for PCRE2, or says what can't be carried over.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  Result<std::string> run() {
    while (at_ < in_.size()) {
      switch (in_[at_]) {
        case '\\':
          SLUICE_TRY(escape(false));
          break;
        case '[':
          SLUICE_TRY(bracket());
          break;
        case '(':
          SLUICE_TRY(group());
          break;
        case '{':
          SLUICE_TRY(interval());
          break;
        default:
          out_.push_back(in_[at_++]);
      }
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::unexpected<Error> refuse(std::string_view what) const {
    return fail(Errc::unsupported, "{} at byte {} is not supported", what, at_);
  }
  [[nodiscard]] char peek(std::size_t n) const { return at_ + n < in_.size() ? in_[at_ + n] : '\0'; }
  void copy(std::size_t n) {
    out_.append(in_.substr(at_, n));
    at_ += n;
  }
  void replace(std::size_t n, std::string_view by) {
    out_.append(by);
    at_ += n;
  }

  Result<> escape(bool in_class) {
    const char c = peek(1);
    switch (c) {
      case 's':
        replace(2, R"(\p{White_Space})");
        return {};
      case 'S':
        replace(2, R"(\P{White_Space})");
        return {};
      case 'd':
        replace(2, R"(\p{Nd})");
        return {};
      case 'D':
        replace(2, R"(\P{Nd})");
        return {};
      case 'w':
        replace(2, in_class ? R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})" : R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])");
        return {};
      case 'W':
        if (in_class) return refuse(R"(\W in a class)");
        replace(2, R"([^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])");
        return {};
      case 'h':
        replace(2, in_class ? "0-9A-Fa-f" : "[0-9A-Fa-f]");
        return {};
      case 'v':
        replace(2, R"(\x0B)");
        return {};
      case 'u':
        if (in_.size() - at_ < 6) return refuse("\\u without four digits");
        out_.append(R"(\x{)").append(in_.substr(at_ + 2, 4)).append("}");
        at_ += 6;
        return {};
      case 'x': {
        if (peek(2) != '{' && (peek(2) < '0' || peek(2) > '7')) return refuse("\\x with a byte that is not ASCII");
        copy(2);
        return {};
      }
      case 'p':
      case 'P': {
        const auto close = in_.find('}', at_);
        if (peek(2) != '{' || close == std::string_view::npos) return refuse("a property without braces");
        copy(close + 1 - at_);
        return {};
      }
      case '\0':
        return refuse("a trailing backslash");
      default:
        break;
    }
    const bool letter_or_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter_or_digit && std::string_view("nrtfae").find(c) == std::string_view::npos)
      return refuse(fmt::format("\\{}", c));
    copy(1 + utf8_step(in_.substr(at_ + 1)).length);
    return {};
  }

  Result<> bracket() {
    copy(peek(1) == '^' ? 2 : 1);
    if (peek(0) == ']') return refuse("']' first in a class");
    while (at_ < in_.size() && in_[at_] != ']') {
      if (in_[at_] == '[') return refuse("a class in a class");
      if (in_[at_] == '&' && peek(1) == '&') return refuse("&& in a class");
      if (in_[at_] == '\\')
        SLUICE_TRY(escape(true));
      else
        copy(1);
    }
    if (at_ == in_.size()) return refuse("a class without its ']'");
    copy(1);
    return {};
  }

  Result<> group() {
    if (peek(1) == '*') return refuse("(*");
    if (peek(1) == '?') {
      static constexpr std::array<std::string_view, 8> kKnown{"(?:",  "(?=",  "(?!",  "(?>",
                                                              "(?<=", "(?<!", "(?i:", "(?-i:"};
      for (const auto k : kKnown) {
        if (!in_.substr(at_).starts_with(k)) continue;
        copy(k.size());
        return {};
      }
      return refuse("this kind of (? group");
    }
    copy(1);
    return {};
  }

  // {n,m}+ is possessive in PCRE2 but a repeated repeat in Oniguruma; {,m} is literal in PCRE2 10.42.
  Result<> interval() {
    if (peek(1) == ',') return refuse("{,m}");
    const auto close = in_.find('}', at_);
    if (close == std::string_view::npos) return refuse("'{' without its '}'");
    copy(close + 1 - at_);
    if (peek(0) == '+') return refuse("a possessive {n,m}+");
    return {};
  }

  std::string_view in_;
  std::size_t at_ = 0;
  std::string out_;
};

/// What a thread needs to match; shared by all patterns, since one match runs at a time.
struct MatchSpace {
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32U << 10U, kJitStackBytes, nullptr);
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);

  MatchSpace() {
    if (!ready()) return;
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_depth_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, 64U << 10U);  // KiB; only without the JIT
    if (stack) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~MatchSpace() {
    pcre2_match_data_free(data);
    if (stack) pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
  }
  MatchSpace(const MatchSpace&) = delete;
  MatchSpace& operator=(const MatchSpace&) = delete;
  [[nodiscard]] bool ready() const noexcept { return context && data; }
};

}  // namespace

struct Regex::Code {
  explicit Code(pcre2_code* c) : code(c) {}
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  pcre2_code* code;
};

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes)
    return fail(Errc::resource_exhausted, "regular expression of {} bytes; the limit is {}", pattern.size(),
                kMaxPatternBytes);
  auto translated = Translator(pattern).run();
  if (!translated)
    return fail(translated.error().code, "regular expression \"{}\": {}", pattern, translated.error().message);
  return compile_pcre(*translated, pattern);
}

Result<Regex> Regex::literal(std::string_view text) {
  std::string quoted;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c))) quoted.push_back('\\');
    quoted.push_back(c);
  }
  return compile_pcre(quoted, text);
}

Result<Regex> Regex::compile_pcre(const std::string& pattern, std::string_view shown) {
  int code = 0;
  PCRE2_SIZE at = 0;
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  if (!context) return fail(Errc::resource_exhausted, "no memory to compile a regular expression");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  auto* compiled =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), kOptions, &code, &at, context.get());
  if (!compiled) {
    std::array<PCRE2_UCHAR, 256> why{};
    pcre2_get_error_message(code, why.data(), why.size());
    return fail(Errc::invalid_argument, "regular expression \"{}\": {}", shown,
                reinterpret_cast<const char*>(why.data()));
  }
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // where there is no JIT the interpreter gives the same matches
  Regex r;
  r.code_ = std::make_shared<const Code>(compiled);
  return r;
}

Result<> Regex::find_all(std::string_view s, std::vector<ByteRange>& out) const {
  thread_local MatchSpace space;
  if (!space.ready()) return fail(Errc::resource_exhausted, "no memory to match a regular expression");
  std::size_t at = 0;
  while (at <= s.size()) {
    const int rc = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(s.data()), s.size(), at, PCRE2_NO_UTF_CHECK,
                               space.data, space.context);
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0)
      return fail(Errc::resource_exhausted, "the text can't be split into words within the limits (PCRE2 error {})",
                  rc);
    const auto* ov = pcre2_get_ovector_pointer(space.data);
    const ByteRange m{ov[0], ov[1]};
    // An empty match right after a match is not one; the search goes on one character later (as Oniguruma's iterator
    // does).
    const bool empty = m.begin == m.end;
    if (!empty || out.empty() || out.back().end != m.end) out.push_back(m);
    at = m.end;
    if (empty) at += at < s.size() ? utf8_step(s.substr(at)).length : 1;
  }
  return {};
}

}  // namespace sluice::text
