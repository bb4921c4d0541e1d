// What other coordinators saw of outputs' lengths, beside what was seen here.
#include "coordinator/policy/output_lengths.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace sluice::coordinator;
using nlohmann::json;

namespace {

constexpr double kLimit = 1000;

/// Has seen `outputs` outputs of about this length.
OutputLengths seen(double tokens, int outputs) {
  OutputLengths l;
  for (int i = 0; i < outputs; ++i) l.observe(tokens, true);
  return l;
}

}  // namespace

TEST_CASE("what is borrowed counts as if it had been seen here, and is not told as ours") {
  OutputLengths mine;
  CHECK_FALSE(mine.known());
  mine.borrow({seen(50, 100).save()});
  CHECK(mine.known());
  CHECK(mine.survival(200, kLimit) < 0.1);
  CHECK(mine.survival(200, kLimit) == Approx(seen(50, 100).survival(200, kLimit)));
  CHECK(mine.save() == OutputLengths().save());
}

TEST_CASE("own and borrowed add up, by how much each has seen") {
  OutputLengths mine = seen(50, 100);
  mine.borrow({seen(400, 300).save()});
  // Three of four outputs are the long ones.
  CHECK(mine.survival(200, kLimit) > 0.65);
  CHECK(mine.survival(200, kLimit) < 0.85);
  CHECK(mine.save() == seen(50, 100).save());
  mine.observe(50, true);  // what is learned here does not let go of it
  CHECK(mine.survival(200, kLimit) > 0.65);
}

TEST_CASE("each time all is borrowed anew: nothing is counted twice, and who is gone is forgotten") {
  OutputLengths mine = seen(50, 100);
  const double alone = mine.survival(200, kLimit);
  const json other = seen(400, 300).save(), third = seen(400, 300).save();
  mine.borrow({other});
  const double once = mine.survival(200, kLimit);
  mine.borrow({other});
  CHECK(mine.survival(200, kLimit) == Approx(once));
  mine.borrow({other, third});
  CHECK(mine.survival(200, kLimit) > once);
  mine.borrow({});
  CHECK(mine.survival(200, kLimit) == Approx(alone));
}

TEST_CASE("the order of the others makes no difference") {
  OutputLengths a, b;
  const json x = seen(50, 100).save(), y = seen(400, 60).save();
  a.borrow({x, y});
  b.borrow({y, x});
  for (double n = 0; n < 500; n += 20) CHECK(a.survival(n, kLimit) == Approx(b.survival(n, kLimit)));
}

TEST_CASE("all others together weigh no more than one memory") {
  OutputLengths mine = seen(50, 5000);  // a full memory
  std::vector<json> many(50, seen(400, 5000).save());
  mine.borrow(many);
  // Half and half, though fifty others saw long outputs.
  CHECK(mine.survival(200, kLimit) > 0.4);
  CHECK(mine.survival(200, kLimit) < 0.6);
}

TEST_CASE("what cannot be read is left out, and the rest is taken") {
  OutputLengths mine, plain;
  json broken = seen(400, 300).save();
  broken["ended"] = json::array({1, 2});
  json other_version = seen(400, 300).save();
  other_version["version"] = 99;
  mine.borrow({json(), json(7), json::array(), json::object(), broken, other_version, seen(50, 100).save()});
  plain.borrow({seen(50, 100).save()});
  CHECK(mine.survival(200, kLimit) == Approx(plain.survival(200, kLimit)));
  mine.borrow({broken});
  CHECK_FALSE(mine.known());
}
