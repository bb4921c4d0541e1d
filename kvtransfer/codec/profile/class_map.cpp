#include "kvtransfer/codec/profile/class_map.h"

#include <algorithm>

namespace sluice::kv {
namespace {

bool fits(const ClassRule& r, const SegmentShape& s, std::uint32_t head) {
  if (s.kind == KvKind::key ? !r.keys : !r.values) return false;
  const auto layer = static_cast<std::int32_t>(s.layer), last = static_cast<std::int32_t>(s.layers);
  if (!r.layers.empty() &&
      std::ranges::none_of(r.layers, [&](std::int32_t l) { return (l < 0 ? l + last : l) == layer; }))
    return false;
  return r.heads.empty() || std::ranges::find(r.heads, head) != r.heads.end();
}

std::size_t class_of(const ProfileSpec& p, const SegmentShape& s, std::uint32_t head) {
  for (const ClassRule& r : p.rules)
    if (fits(r, s, head)) return r.use;
  return s.kind == KvKind::key ? p.key : p.value;
}

}  // namespace

void resolve(const ProfileSpec& p, const SegmentShape& s, std::vector<HeadRun>& out) {
  out.clear();
  if (p.rules.empty()) {
    out.push_back({0, s.kv_heads, s.kind == KvKind::key ? p.key : p.value});
    return;
  }
  for (std::uint32_t h = 0; h < s.kv_heads; ++h) {
    const std::size_t use = class_of(p, s, h);
    if (!out.empty() && out.back().use == use)
      ++out.back().count;
    else
      out.push_back({h, 1, use});
  }
}

ExactRows exact_rows(const ProfileSpec& p, const SegmentShape& s) noexcept {
  ExactRows e;
  if (p.sinks > s.first_token) e.head = std::min(p.sinks - s.first_token, s.tokens);
  // Rows at positions >= end - tail.
  const std::uint64_t tail_begin = s.end_token > p.tail ? s.end_token - p.tail : 0;
  const std::uint64_t end = std::uint64_t{s.first_token} + s.tokens;
  if (p.tail > 0 && end > tail_begin)
    e.tail = static_cast<std::uint32_t>(std::min<std::uint64_t>(end - tail_begin, s.tokens - e.head));
  return e;
}

}  // namespace sluice::kv
