// Who is let in, and whom a transport believes.
#include "kvtransfer/transport/admission.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::kv;

namespace {

constexpr auto kAddress = "10.0.0.1:9000";
const std::string kKey = "a key of the listener";

Greeting greeting(std::uint64_t key) { return {key, {std::byte{1}, std::byte{2}}, {}}; }

}  // namespace

TEST_CASE("a listener without a key admits everybody and proves nothing") {
  const Admission open{""};
  Greeting theirs = greeting(7);
  CHECK(open.admits(theirs));
  theirs.proof = prove("some key", theirs, 0);
  CHECK(open.admits(theirs));
  Greeting ours = greeting(8);
  open.answer(ours, theirs);
  CHECK_FALSE(ours.proof);
}

TEST_CASE("a listener with a key admits only who proves it for its own address in the fabric") {
  const Admission guarded{kKey};
  Admission visitor{""};
  Greeting theirs = greeting(7);
  CHECK_FALSE(guarded.admits(theirs));
  visitor.approach(ConnId{1}, kAddress, theirs);
  CHECK_FALSE(theirs.proof);  // it was never introduced

  visitor.introduce(kAddress, "another key");
  visitor.approach(ConnId{1}, kAddress, theirs);
  CHECK_FALSE(guarded.admits(theirs));

  visitor.introduce(kAddress, kKey);
  visitor.approach(ConnId{1}, kAddress, theirs);
  CHECK(guarded.admits(theirs));
  Greeting overheard = theirs;
  overheard.fabric.push_back(std::byte{3});
  CHECK_FALSE(guarded.admits(overheard));
}

TEST_CASE("who was introduced has to prove the key in its answer to this very greeting") {
  const Admission guarded{kKey};
  Admission visitor{""};
  visitor.introduce(kAddress, kKey);
  Greeting theirs = greeting(7);
  visitor.approach(ConnId{1}, kAddress, theirs);
  Greeting answer = greeting(9);
  CHECK_FALSE(visitor.believes(ConnId{1}, answer, theirs.key));
  guarded.answer(answer, theirs);
  CHECK(visitor.believes(ConnId{1}, answer, theirs.key));
  CHECK_FALSE(visitor.believes(ConnId{1}, answer, theirs.key + 1));  // an answer to another greeting

  CHECK(visitor.believes(ConnId{2}, greeting(9), 1));  // of an address without a key nothing is demanded
  visitor.forget(ConnId{1});
  CHECK(visitor.believes(ConnId{1}, greeting(9), theirs.key));
}
