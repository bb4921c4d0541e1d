#include "node/kv/open_table.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::node;

namespace {

class Thing {
 public:
  Thing(std::uint64_t request, std::uint8_t ticket) : request_(request) { ticket_.id = kv::TicketId({ticket}); }
  [[nodiscard]] RequestId request() const { return request_; }
  [[nodiscard]] const kv::Ticket& ticket() const { return ticket_; }

 private:
  RequestId request_;
  kv::Ticket ticket_;
};

}  // namespace

TEST_CASE("what is open is found by request and by ticket, until it is forgotten") {
  OpenTable<Thing> table;
  const auto one = std::make_shared<Thing>(1, 10);
  const auto two = std::make_shared<Thing>(2, 20);
  table.add(one);
  table.add(two);
  CHECK(table.find(RequestId(1)) == one);
  CHECK(table.find(two->ticket().id) == two);
  CHECK(table.find(RequestId(3)) == nullptr);
  CHECK(table.find(kv::TicketId({30})) == nullptr);
  CHECK(table.all() == std::vector{one, two});
  table.erase(one);
  table.erase(one);
  CHECK(table.find(RequestId(1)) == nullptr);
  CHECK(table.find(one->ticket().id) == nullptr);
  CHECK(table.all() == std::vector{two});
}

// A transfer that ended late made the table forget the one that had taken its request's place.
TEST_CASE("a request that came again keeps its place when the earlier one ends") {
  OpenTable<Thing> table;
  const auto old = std::make_shared<Thing>(1, 10);
  const auto again = std::make_shared<Thing>(1, 11);
  table.add(old);
  table.add(again);
  CHECK(table.all().size() == 2);
  CHECK(table.find(old->ticket().id) == old);
  table.erase(old);
  CHECK(table.find(RequestId(1)) == again);
  CHECK(table.all() == std::vector{again});
}
