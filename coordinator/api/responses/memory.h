#pragma once
// Answers of the Responses API that are kept, so that `previous_response_id` can go on from one and GET can read it
// again. Bounded in bytes and in number; what was not used for a while goes.
//
// Nobody finds what another's key made: an owner is a tenant's key, or everybody where no key is demanded. When room is
// wanted, whoever holds the most gives up what he used longest ago, so that one owner cannot push out the others'.
// Threading: any thread; a mutex, held for a few look-ups. Failure: what is too large is not kept.
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/clock.h"

namespace sluice::coordinator {

/// One answer. JSON texts: of the object, and of the list of its own input items.
struct KeptResponse {
  std::string id;
  std::string previous;  // the id of the one it went on from; empty: none
  std::string response, input;
};

class ResponseMemory {
 public:
  struct Limits {
    std::size_t bytes = std::size_t{64} << 20U;  // 0: nothing is kept
    std::size_t count = 65'536;
    Duration unused = std::chrono::hours(24);  // then it goes
  };

  ResponseMemory(Limits limits, const Clock& clock) : limits_(limits), clock_(clock) {}
  ResponseMemory(const ResponseMemory&) = delete;
  ResponseMemory& operator=(const ResponseMemory&) = delete;

  using Kept = std::shared_ptr<const KeptResponse>;

  /// False: it is larger than what may be kept at all.
  bool keep(const std::string& owner, KeptResponse response);
  /// Null: there is none, or no more.
  [[nodiscard]] Kept find(const std::string& owner, std::string_view id);
  bool erase(const std::string& owner, std::string_view id);

  /// The one of this id and all before it, oldest first: they stay as long as their last one is used. `missing`: the id
  /// that is not there any more, if one is; then the list is empty.
  struct Chain {
    std::vector<Kept> responses;
    std::string missing;
  };
  [[nodiscard]] Chain chain(const std::string& owner, std::string_view id, std::size_t most);

  [[nodiscard]] bool enabled() const noexcept { return limits_.bytes > 0; }
  struct Size {
    std::size_t count = 0, bytes = 0;
  };
  [[nodiscard]] Size size() const;

 private:
  struct Entry {
    Kept kept;
    std::size_t bytes = 0;
    TimePoint used;
  };
  /// What one owner holds, the last used first.
  struct Shelf {
    std::list<Entry> entries;
    std::unordered_map<std::string_view, std::list<Entry>::iterator> by_id;  // names are the entries' own
    std::size_t bytes = 0;
  };
  void drop_last(Shelf& shelf);
  void drop_unused();
  void make_room();
  [[nodiscard]] Kept use(Shelf& shelf, std::string_view id);

  const Limits limits_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Shelf> shelves_;  // by owner; none is empty
  Size size_;
};

}  // namespace sluice::coordinator
