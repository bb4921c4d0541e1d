#pragma once
// One request's KV on its way in: what has come, under which profile, what it took, how it ended.
//
// Life: open -> closed, once: by finish() when every row is there, or by close(). A frame's way: enter (a lease of the
// blocks) -> claim -> rows are written -> commit. Once closed no frame enters or claims; the blocks go back when the
// last lease is dropped. Threading: any thread. The ticket never changes; one mutex guards the rest, and leases are
// dropped without it.
#include <mutex>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/control/messages.h"
#include "kvtransfer/transfer_plan.h"
#include "kvtransfer/transport/transport.h"
#include "kvtransfer/wire/frame.h"
#include "node/ingest/admission.h"
#include "node/kv/held_blocks.h"
#include "node/kv/profile_change.h"

namespace sluice::node {

struct IngestResult {
  RequestId request;
  double decode_s = 0;  // busy time of seal check and codec
  double wall_s = 0;    // ticket issued until committed
  std::uint64_t raw_bytes = 0, wire_bytes = 0;
  std::optional<control::ProfileChange> change;  // what came under a fallback of the request
};

class Transfer {
 public:
  struct Finished {
    IngestResult result;
    kv::ConnId bearer;
  };
  /// The transfer's own lease, and where its frames came from, if any came.
  struct Closed {
    BlocksLease blocks;
    std::optional<kv::ConnId> bearer;
  };

  Transfer(DrawnTicket drawn, BlocksLease blocks, TimePoint now);

  [[nodiscard]] RequestId request() const noexcept { return ticket_.request; }
  [[nodiscard]] const kv::Ticket& ticket() const noexcept { return ticket_; }
  [[nodiscard]] bool borne_by(kv::ConnId conn) const;

  /// A frame came over `conn`. Null when the transfer has ended.
  [[nodiscard]] BlocksLease enter(kv::ConnId conn);
  /// The frame's rows are this caller's to write. Each row may come once; the profile may change once, and in a way
  /// that can be told, since a resumed answer needs the same KV again.
  [[nodiscard]] Result<> claim(const kv::FrameHeader& h);
  /// The claimed frame's rows are in place.
  [[nodiscard]] Result<> commit(const kv::FrameSpec& f);
  /// What a frame took, whatever became of it.
  void spent(double decode_s, std::uint64_t wire_bytes);

  /// Closes it if every row is there. Nothing else: not complete, or closed before.
  [[nodiscard]] std::optional<Finished> finish(TimePoint now);
  /// Ends it as it is. Nothing when it has ended before.
  [[nodiscard]] std::optional<Closed> close();

 private:
  [[nodiscard]] Result<> note_profile(const kv::FrameHeader& h);

  const kv::Ticket ticket_;
  const std::vector<const kv::Profile*> fallbacks_;
  const TimePoint issued_;

  mutable std::mutex mutex_;
  BlocksLease blocks_;
  kv::CoverageTracker coverage_;
  ChangeTracker changes_;
  const kv::Profile* changed_to_ = nullptr;
  std::optional<control::ProfileChange> change_;  // once all is there
  std::optional<kv::ConnId> bearer_;
  bool closed_ = false;
  double decode_s_ = 0;
  std::uint64_t wire_bytes_ = 0;
};

}  // namespace sluice::node
