#pragma once
// When a link gives way in the middle of a transfer: whether what is left of it goes on under a tighter profile.
//
// The coordinator chooses a profile for the link it reckons with, and names others that the request's quality budget
// allows. The sender changes to one of those when its link has lost a good part of that speed and the change brings
// the end of the transfer clearly nearer; once per request, so that nothing swings to and fro. Daemon and simulator run
// this code. Pure; thread-safe.
#include <cstddef>
#include <span>

namespace sluice {

/// What a link must have lost of the speed reckoned with before anything changes.
inline constexpr double kCollapsedShare = 0.6;
/// The end of the transfer must come nearer by this share, and by this time.
inline constexpr double kWorthwhileShare = 0.2, kWorthwhileS = 0.01;
/// Bytes that are late by less than this say nothing of a link: threads wait as long for their turn.
inline constexpr double kPatienceS = 0.01;

/// A way to send what is left.
struct Way {
  double encode_bps = 0;  // raw bytes per second; 0 = not known
  double ratio = 0;       // raw bytes per wire byte; 0 = not known
};

struct TransferState {
  double planned_bps = 0;     // wire bytes per second that the coordinator reckoned with; 0 = not known
  double link_bps = 0;        // what the link does now: the smaller of its meter and speed_bound(); 0 = not known
  double ahead_bytes = 0;     // wire bytes queued or in flight on the link
  double raw_left = 0;        // raw bytes of this request not encoded yet, those not computed yet among them
  double compute_left_s = 0;  // until the last of them exists
};

/// When the last byte is through: encoding, link and computation go on side by side.
[[nodiscard]] double finish_s(const TransferState& t, const Way& w);

/// Index of the way to go on; 0, the chosen one, unless the link gave way and another finishes clearly sooner (of
/// several the soonest, the first of equals). A way of which something is not known is never changed to.
[[nodiscard]] std::size_t tighten(const TransferState& t, std::span<const Way> ways);

/// Late is news: a link that has not brought `bytes` through `waited_s` after the last of them was handed over (they
/// include what was under way before them) is slower than what is returned, bytes per second. Infinite when they are
/// not late.
[[nodiscard]] double speed_bound(double bytes, double waited_s, double rtt_s);

}  // namespace sluice
