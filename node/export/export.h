#pragma once
// One request's KV on its way out: what is planned, under which profile it goes, what it took, how it ended.
//
// Life: open -> closed, once (close). Open: layers become jobs, each with a lease of the blocks. Closed: no new jobs;
// the export's own lease is dropped, and the blocks go back when the last job is gone.
// Threading: any thread. Request, address, ticket and profiles never change; one mutex guards the rest. Leases are
// dropped without it.
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/result.h"
#include "kvtransfer/wire/ticket.h"
#include "node/export/export_options.h"
#include "node/export/frame_out.h"
#include "node/export/frame_planner.h"
#include "node/export/profile_choice.h"
#include "node/kv/held_blocks.h"

namespace sluice::node {

struct ExportStart {
  RequestId request;
  std::string address;
  kv::Ticket ticket;
  const kv::Profile* profile = nullptr;
  std::vector<engine::BlockHandle> blocks;  // this node's, one reference each passes to the export
  ProfilePlan plan;  // where it may change to another profile; profiles[0] is `profile`, or all is empty
};

struct ExportEnd {
  RequestId request;
  kv::TicketId ticket;  // which of the request's exports it was, where it came again
  Result<> outcome;
  double encode_s = 0;   // codec and seal, busy time
  double wire_s = 0;     // first frame handed over until confirmed
  double exposed_s = 0;  // end of compute until confirmed
  std::uint64_t raw_bytes = 0, wire_bytes = 0;
  const kv::Profile* changed_to = nullptr;  // the other profile that frames went under
  // When its first frame was begun and its last one encoded, when the first one left, and when the decode node had all.
  // No frames, or none of that: nothing.
  std::optional<TimePoint> encode_begin, encode_end, first_sent, confirmed;
};

class Export;

/// A frame that waits to be encoded.
struct FrameJob {
  std::shared_ptr<Export> owner;
  BlocksLease blocks;
  PlannedFrame frame;
  TimePoint ready{};
  std::size_t most = 0;  // payload bytes under any profile that it may get
};

class Export : public std::enable_shared_from_this<Export> {
 public:
  /// What frames of one profile took.
  struct Sums {
    double encode_s = 0;
    std::uint64_t raw_bytes = 0, wire_bytes = 0;
  };
  struct Closed {
    ExportEnd end;
    const kv::Profile* profile = nullptr;  // the chosen one
    Sums kept, changed;                    // of its frames, and of end.changed_to's
  };

  Export(ExportStart s, const kv::KvLayout& layout, const ExportOptions& o, ReleaseBlocks release);

  [[nodiscard]] RequestId request() const noexcept { return request_; }
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] const kv::Ticket& ticket() const noexcept { return ticket_; }
  /// The chosen profile for 0, else the one of the plan.
  [[nodiscard]] const kv::Profile& profile(std::size_t picked) const;
  /// Whether the link's state matters for what pick() says.
  [[nodiscard]] bool may_change() const noexcept { return ways_ > 1; }

  [[nodiscard]] std::vector<FrameJob> layer_done(kv::TokenRange tokens, std::uint32_t layer, TimePoint now);
  /// Every position is computed: what is returned now is all there will be.
  [[nodiscard]] std::vector<FrameJob> computed(TimePoint now);
  /// The decode node has it all.
  void confirm(TimePoint now);
  /// Computed and confirmed, in either order: the last layer's KV leaves before its pass returns, so the confirmation
  /// can overtake it.
  [[nodiscard]] bool complete() const;

  /// Index of the profile that the frame goes under.
  [[nodiscard]] std::size_t pick(const PlannedFrame& f, const LinkNow& link);
  /// The frame is encoded and about to leave.
  void encoded(const PlannedFrame& f, std::size_t picked, std::uint64_t wire_bytes, double took_s, TimePoint now);

  [[nodiscard]] bool closed() const;
  /// Ends it. Nothing when it has ended before.
  [[nodiscard]] std::optional<Closed> close(Result<> outcome, TimePoint now);
  /// Lets go of the blocks without an end: the process stops.
  void abandon();

 private:
  [[nodiscard]] std::vector<FrameJob> jobs(const std::vector<PlannedFrame>& frames, const BlocksLease& lease,
                                           TimePoint now);

  const RequestId request_;
  const std::string address_;
  const kv::Ticket ticket_;
  const kv::Profile* const profile_;
  const std::vector<const kv::Profile*> profiles_;  // the plan's
  const std::size_t ways_;
  const std::uint64_t raw_total_;

  mutable std::mutex mutex_;
  FramePlanner planner_;
  ProfileChoice choice_;
  BlocksLease blocks_;
  bool closed_ = false;
  Sums kept_, changed_;
  std::optional<TimePoint> encode_begin_, encode_end_, first_sent_, computed_at_, confirmed_at_;
};

}  // namespace sluice::node
