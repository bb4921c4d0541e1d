// Suite "reuse": what it costs to find KV that was computed before. Names of a long prompt, and their look-up in a
// table of many. Goal: 2 ms together for 128k tokens and a million entries.
//   sluice-bench reuse [--quick]
#include <random>
#include <unordered_map>

#include "common/prefix/namer.h"
#include "tools/bench/bench_util.h"

namespace sluice::bench {
namespace {

using namespace prefix;

constexpr std::size_t kBlockTokens = 16;

using Table = std::unordered_map<PrefixName, std::uint32_t>;

/// `entries` names: those of the prompt, and of others.
Table filled_table(const std::vector<PrefixName>& prompt, std::size_t entries) {
  std::mt19937_64 draw(7);
  Table table;
  table.reserve(entries);
  for (const auto& name : prompt) table.emplace(name, static_cast<std::uint32_t>(table.size()));
  while (table.size() < entries) {
    PrefixName other;
    for (auto& b : other.bytes) b = static_cast<std::uint8_t>(draw());
    table.emplace(other, static_cast<std::uint32_t>(table.size()));
  }
  return table;
}

std::size_t matched(const Table& table, const std::vector<PrefixName>& names) {
  std::size_t n = 0;
  while (n < names.size() && table.contains(names[n])) ++n;
  return n;
}

SuiteResult run_reuse_suite(const BenchOptions& options) {
  const std::size_t tokens = options.quick ? 16384 : 131072, entries = options.quick ? 100'000 : 1'000'000;
  const std::size_t repeats = options.quick ? 5 : 50;
  std::mt19937 draw(3);
  std::vector<TokenId> prompt(tokens);
  for (auto& t : prompt) t = static_cast<TokenId>(draw() % 150'000);
  const PrefixNamer namer(PrefixKey::draw());
  const PrefixName root = namer.root({.tenant = "bench"});
  std::vector<PrefixName> names;
  const auto name_all = [&] {
    names.clear();
    namer.append_names(root, prompt, kBlockTokens, names);
  };
  name_all();
  const Table table = filled_table(names, entries);
  std::size_t hit = 0;
  const double naming = median_seconds(repeats, 0.2, name_all);
  const double matching = median_seconds(repeats, 0.2, [&] { hit = matched(table, names); });
  if (hit != names.size()) return fail(Errc::internal, "{} of {} names were found", hit, names.size());
  return std::vector<Figure>{
      {fmt::format("name {} tokens", tokens), 1e3 * naming, "ms", std::nullopt},
      {fmt::format("match them in {} entries", entries), 1e3 * matching, "ms", std::nullopt},
      {"name and match", 1e3 * (naming + matching), "ms", Measured{"goal", 2, "ms"}},
  };
}

const SuiteRegistration registration{"reuse", "names of prefixes, and looking them up", run_reuse_suite};

}  // namespace
}  // namespace sluice::bench
