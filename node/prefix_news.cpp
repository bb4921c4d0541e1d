#include "node/prefix_news.h"

#include <algorithm>
#include <span>

namespace sluice::node {
namespace {

/// The next names of a list, as many as a report may hold.
std::string take(const std::vector<prefix::PrefixName>& names, std::size_t& taken) {
  const std::size_t n = std::min(names.size() - taken, control::kMaxPrefixNames);
  const std::string out = prefix::to_hex(std::span(names).subspan(taken, n));
  taken += n;
  return out;
}

}  // namespace

std::optional<control::PrefixReport> PrefixNews::next(control::LegSpace to) {
  const auto [it, is_new] = told_.try_emplace(to);
  Told& t = it->second;
  if (t.stored == t.open.stored.size() && t.removed == t.open.removed.size())
    t = {.open = since_(is_new ? 0 : t.open.next)};
  control::PrefixReport out{.anew = t.open.anew && t.stored == 0};
  // What went first: it made room for what came.
  out.removed = take(t.open.removed, t.removed);
  if (t.removed == t.open.removed.size()) out.stored = take(t.open.stored, t.stored);
  if (!out.anew && out.stored.empty() && out.removed.empty()) return std::nullopt;
  return out;
}

}  // namespace sluice::node
