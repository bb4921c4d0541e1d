#include "coordinator/policy/admission.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {
namespace {

constexpr double kHorizon = 600;      // seconds ahead at most
constexpr int kHalvings = 12;         // of the horizon: to 0.15 s
constexpr double kLongestRetry = 60;  // forecasts beyond that are guesses
constexpr double kLinksS = 0.1;       // in a large cluster links are most of a snapshot; so old they may be

double retry_after(double s) { return std::clamp(std::ceil(s), 1.0, kLongestRetry); }

bool fits(const DecodeView& d, const Occupancy& o, double blocks, double doubt) {
  return o.blocks + doubt * std::sqrt(o.blocks_var) + blocks <= d.total_blocks &&
         o.seqs + doubt * std::sqrt(o.seqs_var) + 1 <= d.max_seqs;
}

}  // namespace

Occupancy Forecast::at(std::size_t node, double in_s) const {
  Occupancy out;
  for (const Occupant& o : all_(node)) {
    const double begins = std::max(o.starts_in_s, 0.0);
    if (in_s < begins && !o.holds) continue;
    const double tokens = o.emitted + (o.tpot_s > 0 ? std::max(in_s - begins, 0.0) / o.tpot_s : 0.0);
    const double p = o.blocks_a_token > 0 ? longer_than(lengths_, tokens, o.emitted, o.limit)
                                          : lengths_.survival(tokens, o.emitted, o.limit);
    const double spread = p * (1 - p);
    const double blocks = o.blocks + (tokens - o.emitted) * o.blocks_a_token;
    out.blocks += p * blocks;
    out.blocks_var += spread * blocks * blocks;
    out.seqs += p;
    out.seqs_var += spread;
  }
  return out;
}

bool Forecast::room(const DecodeView& d, std::size_t node, double in_s, double blocks, double doubt) const {
  return fits(d, at(node, in_s), blocks, doubt);
}

/// Those ahead take room as it comes and give it back: of a queue that moves for longer than one of them stays, only
/// the last are still there.
bool Admission::room_for_all(const ClusterSnapshot& c, const Need& n, const Forecast& f, double in_s) {
  const double there = n.hold_s < in_s ? n.hold_s / in_s : 1;
  double free_blocks = -there * n.ahead.blocks;
  double free_seats = -there * n.ahead.seqs;
  bool one_fits = false;
  for (std::size_t d = 0; d < c.decodes.size(); ++d) {
    if (!c.decodes[d].usable) continue;
    const Occupancy o = f.at(d, in_s);
    free_blocks += std::max(c.decodes[d].total_blocks - o.blocks, 0.0);
    free_seats += std::max(c.decodes[d].max_seqs - o.seqs, 0.0);
    one_fits |= fits(c.decodes[d], o, n.blocks, 0);
    if (one_fits && free_blocks >= n.blocks && free_seats >= 1) return true;
  }
  return false;
}

/// What is held becomes less in the end as long as nothing new is admitted, so halving finds the time.
std::optional<double> Admission::room_in_s(const ClusterSnapshot& c, const Need& n, const Forecast& f) {
  if (!room_for_all(c, n, f, kHorizon)) return std::nullopt;
  double early = 0;
  double late = kHorizon;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = 0.5 * (early + late);
    (room_for_all(c, n, f, middle) ? late : early) = middle;
  }
  return late;
}

double Admission::hold_s(const ClusterSnapshot& c, const Ahead& ahead, const Candidate& idle) const {
  if (ahead.seqs <= 0) return 0;
  double step_s = 0;
  double nodes = 0;
  for (const DecodeView& d : c.decodes) {
    if (!d.usable || d.step_s <= 0) continue;
    step_s += d.step_s;
    ++nodes;
  }
  const double tpot_s = std::max(idle.predicted_tpot_s, nodes > 0 ? step_s / nodes : 0);
  const double limit = ahead.limits / ahead.seqs;
  const double tokens =
      all_grow(c) ? expected_left(lengths_, 0, static_cast<std::uint32_t>(limit)) : lengths_.mean(limit);
  return idle.predicted_ttft_s + tokens * tpot_s;
}

std::optional<Candidate> Admission::best_then(const ClusterSnapshot& c, const RequestFeatures& r, const Forecast* f,
                                              double in_s, TimePoint now) {
  if (c.topology == 0 || c.topology != then_.topology || seconds(now - links_from_) > kLinksS) {
    then_ = c;
    links_from_ = now;
  } else {
    then_.profiles = c.profiles;
    then_.prefills = c.prefills;
    then_.decodes = c.decodes;
  }
  for (std::size_t d = 0; d < then_.decodes.size(); ++d) {
    DecodeView& v = then_.decodes[d];
    const Occupancy o = f != nullptr ? f->at(d, in_s) : Occupancy{};
    const double used = std::min(std::ceil(o.blocks), static_cast<double>(v.total_blocks));
    v.free_blocks = v.total_blocks - static_cast<std::uint32_t>(used);
    v.seqs = static_cast<std::uint32_t>(std::lround(o.seqs));
    v.memory.clear();  // it is of now
    v.closed = false;
  }
  return placement_.preview(then_, r, now);
}

std::optional<Refusal> Admission::check_wait(const ClusterSnapshot& c, const RequestFeatures& r, const OccupantsOf& all,
                                             const Ahead& ahead, double deadline_s, TimePoint now) {
  if (!lengths_.known()) return std::nullopt;
  std::uint32_t block_size = 1;
  for (const DecodeView& d : c.decodes)
    if (d.usable) block_size = std::max(block_size, d.block_size);
  const Forecast f(lengths_, all);
  const auto idle = best_then(c, r, nullptr, 0, now);
  const double after = idle ? idle->predicted_ttft_s : 0;
  const Need need{std::ceil(tokens_expected(r, all_grow(c)) / block_size), ahead,
                  hold_s(c, ahead, idle.value_or(Candidate{}))};
  // When exactly matters only to those who are told to come again.
  const double left = deadline_s - r.waited_s - after;
  if (left >= kHorizon || (left >= 0 && room_for_all(c, need, f, left))) return std::nullopt;
  const double start = room_in_s(c, need, f).value_or(kHorizon) + after;
  return Refusal{
      Error{Errc::resource_exhausted,
            fmt::format("every decode node is full; this request is expected to start in {:.1f} s, more than "
                        "the {:.1f} s it may wait; retry later",
                        start, std::max(deadline_s - r.waited_s, 0.0)),
            {}},
      retry_after(r.waited_s + start - deadline_s)};
}

std::optional<Refusal> Admission::check_speed(const ClusterSnapshot& c, const RequestFeatures& r, Decision& d,
                                              const OccupantsOf& all, double limit_s, TimePoint now) {
  // What is on a node now, prefills on their way included, is the most it will be without new ones.
  if (d.chosen.predicted_tpot_s <= limit_s || !lengths_.known()) return std::nullopt;
  const auto idle = best_then(c, r, nullptr, 0, now);
  if (!idle || idle->predicted_tpot_s > limit_s) return std::nullopt;
  const Forecast f(lengths_, all);
  const double prefill_end = d.chosen.predicted_ttft_s;
  auto fast = [&](double in_s) {
    const auto k = best_then(c, r, &f, in_s, now);
    return k && k->predicted_tpot_s <= limit_s ? k : std::nullopt;
  };
  if (const auto k = fast(prefill_end)) {
    // A place on that node must be free now, too: blocks are reserved before prefill.
    if (room_on(c.decodes[k->decode], r) == Room::now) d.chosen = *k;
    return std::nullopt;
  }
  double wait = 1;
  while (wait < kLongestRetry && !fast(prefill_end + wait)) wait *= 2;
  return Refusal{Error{Errc::resource_exhausted,
                       fmt::format("no decode node will generate a token within {:.0f} ms by the time this prompt is "
                                   "computed; retry later",
                                   limit_s * 1e3),
                       {}},
                 retry_after(wait)};
}

}  // namespace sluice::coordinator
