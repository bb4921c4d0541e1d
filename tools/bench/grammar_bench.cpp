// Suite "grammar": what constrained decoding costs a step. Every mask on the way through documents is timed, from a
// freshly compiled automaton on, so that masks made for the first time are among them; and compilation with the first
// mask. Goals: a mask 50 us in the median and 1 ms at p99, compiling 50 ms.
//   sluice-bench grammar [--quick] -- [CASES.json [VOCABULARY.hex [EOS]]]
// (default tools/grammar/cases.json and a vocabulary of 131,072 tokens that is made up).
#include <algorithm>
#include <optional>

#include "text/grammar/matcher.h"
#include "tools/bench/bench_util.h"
#include "tools/bench/grammar_cases.h"
#include "tools/grammar/synthetic_vocabulary.h"

namespace sluice::bench {
namespace {

using namespace text::grammar;

struct Times {
  std::vector<double> masks;    // us, all
  std::vector<double> accepts;  // us
  std::vector<double> compile;  // ms, with the first mask
  std::vector<double> clock;    // us: what timing a call adds to it
};

double at(std::vector<double> v, double part) {
  std::ranges::sort(v);
  return v[static_cast<std::size_t>(part * static_cast<double>(v.size() - 1))];
}

double mean(const std::vector<double>& v) {
  double sum = 0;
  for (const auto x : v) sum += x;
  return sum / static_cast<double>(v.size());
}

/// One document by one matcher.
Result<> read(const GrammarCase& c, const std::vector<TokenId>& document, Matcher& m, std::span<std::uint64_t> bits,
              Times& out) {
  for (std::size_t i = 0; i < document.size(); ++i) {
    const auto t = document[i];
    out.masks.push_back(1e6 * seconds_of(1, [&] { m.fill(bits); }));
    out.clock.push_back(1e6 * seconds_of(1, [] {}));
    const bool allowed = (bits[static_cast<std::size_t>(t) / 64] >> (static_cast<unsigned>(t) % 64) & 1U) != 0;
    bool accepted = false;
    out.accepts.push_back(1e6 * seconds_of(1, [&] { accepted = m.accept(t); }));
    if (!allowed || !accepted) return fail(Errc::internal, "{}: token {} of a document is refused", c.name, i);
  }
  out.masks.push_back(1e6 * seconds_of(1, [&] { m.fill(bits); }));
  if (!m.may_end()) return fail(Errc::internal, "{}: a document may not end", c.name);
  return {};
}

Result<Times> measure(const GrammarCase& c, const std::shared_ptr<const Vocabulary>& vocabulary, std::size_t rounds) {
  Times out;
  std::vector<std::uint64_t> bits(vocabulary->mask_words());
  for (std::size_t round = 0; round < rounds; ++round) {
    std::optional<Result<std::shared_ptr<const Automaton>>> automaton;
    out.compile.push_back(c.source_ms + 1e3 * seconds_of(1, [&] {
                                          automaton = Automaton::compile(c.grammar, vocabulary);
                                          if (*automaton) Matcher(**automaton).fill(bits);
                                        }));
    if (!*automaton) return fail(automaton->error().code, "{}: {}", c.name, automaton->error().message);
    for (const auto& d : c.documents) {
      Matcher m(**automaton);
      SLUICE_TRY(read(c, d, m, bits, out));
    }
  }
  return out;
}

void add_figures(std::vector<Figure>& out, const std::string& name, const Times& t) {
  out.push_back({name + "/mask p50", at(t.masks, 0.5), "us", Measured{"goal", 50, "us"}});
  out.push_back({name + "/mask p99", at(t.masks, 0.99), "us", Measured{"goal", 1000, "us"}});
  out.push_back({name + "/mask max", at(t.masks, 1), "us", std::nullopt});
  out.push_back({name + "/mask mean", mean(t.masks), "us", std::nullopt});
  out.push_back({name + "/accept mean", mean(t.accepts), "us", std::nullopt});
  out.push_back({name + "/clock", at(t.clock, 0.5), "us", std::nullopt});
  out.push_back({name + "/compile", at(t.compile, 0.5), "ms", Measured{"goal", 50, "ms"}});
}

SuiteResult run_grammar_suite(const BenchOptions& options) {
  const auto argument = [&](std::size_t i, const char* otherwise) -> std::string {
    return options.arguments.size() > i ? options.arguments[i] : otherwise;
  };
  std::shared_ptr<const Vocabulary> vocabulary;
  if (options.arguments.size() > 1) {
    SLUICE_ASSIGN(vocabulary, load_vocabulary(options.arguments[1], std::stoi(argument(2, "0"))));
  } else {
    vocabulary = synthetic_vocabulary();
  }
  SLUICE_ASSIGN(const auto cases, load_cases(argument(0, "tools/grammar/cases.json"), *vocabulary));
  std::vector<Figure> out;
  Times all;
  for (const auto& c : cases) {
    SLUICE_ASSIGN(const auto t, measure(c, vocabulary, options.quick ? 1 : 5));
    add_figures(out, c.name, t);
    all.masks.insert(all.masks.end(), t.masks.begin(), t.masks.end());
    all.accepts.insert(all.accepts.end(), t.accepts.begin(), t.accepts.end());
    all.clock.insert(all.clock.end(), t.clock.begin(), t.clock.end());
    all.compile.insert(all.compile.end(), t.compile.begin(), t.compile.end());
  }
  add_figures(out, "all", all);
  return out;
}

const SuiteRegistration registration{"grammar", "masks and compilation of constrained decoding", run_grammar_suite};

}  // namespace
}  // namespace sluice::bench
