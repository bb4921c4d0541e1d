// A decode node's work without network and coordinator.
#include "decode_node/decode_service.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <regex>

#include "tests/support/fake_model.h"
#include "tests/support/manual_clock.h"
#include "tests/support/metrics_lint.h"
#include "text/grammar/vocabulary.h"

using namespace sluice;
using namespace sluice::decode;

namespace {

/// Token t stands for the letter that follows 'a' by t - 1, up to 'z'; 0 ends, the others are none of a text.
VocabularyPtr letters() {
  std::vector<std::string> bytes(27);
  for (std::size_t t = 1; t < bytes.size(); ++t) bytes[t] = static_cast<char>('a' + t - 1);
  return text::grammar::Vocabulary::create(std::move(bytes), test::FakeModel::kVocab, {0});
}

std::string spelled(const std::vector<TokenId>& tokens) {
  std::string out;
  for (const TokenId t : tokens) out += t == 0 ? '.' : static_cast<char>('a' + t - 1);
  return out;
}

struct Rig {
  VocabularyPtr vocabulary = letters();
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  test::FakeModel model;
  std::unique_ptr<engine::KvPool> pool = *engine::KvPool::create(model.kv_shape(4, 32, engine::DType::bf16));
  test::ManualClock clock;
  Metrics metrics;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<control::Finished> finished;
  std::map<RequestId, std::vector<TokenId>> tokens;
  DecodeService service{{NodeId("d"), Incarnation(9), 0xfa4e, {3, 2, 16, kv::KvDType::bf16}},
                        *codecs,
                        {model, *pool, {.max_batch_tokens = 64, .max_seqs = 8, .prefill_chunk = 16}, {}, vocabulary},
                        {.max_seqs = 4},
                        clock,
                        metrics,
                        [this](RequestId, const char* type, const nlohmann::json& body) { take(type, body); }};

  explicit Rig(VocabularyPtr v = letters()) : vocabulary(std::move(v)) {
    service.set_note_sender([](kv::ConnId, std::vector<std::byte>) {});
  }
  void take(const std::string& type, const nlohmann::json& body) {
    const std::lock_guard lock(mutex);
    if (type == control::type::kTokens) {
      const auto sent = control::parse<control::Tokens>(body).value();
      for (const auto& item : sent.items) tokens[item.request].push_back(item.token.id);
    }
    if (type != control::type::kFinished) return;
    finished.push_back(*control::parse<control::Finished>(body));
    changed.notify_all();
  }
  static control::ReserveRequest bound(std::uint64_t id, const std::string& grammar, std::uint32_t max_new = 40) {
    control::ReserveRequest r = request(id, 0);
    r.max_new_tokens = max_new;
    r.sampling.ignore_eos = false;
    r.sampling.temperature = 1;
    r.sampling.seed = 5;
    r.sampling.grammar = SharedText(grammar);
    return r;
  }
  static control::ReserveRequest request(std::uint64_t id, std::uint32_t kv_tokens) {
    control::ReserveRequest r;
    r.request = RequestId(id);
    r.tokens.assign(20, 7);
    r.prompt_tokens = 20;
    r.kv_tokens = kv_tokens;
    r.max_new_tokens = 4;
    r.sampling.temperature = 0;
    r.sampling.ignore_eos = true;
    r.profile = "raw";
    r.prefill_node = NodeId("p");
    r.timeout_ms = 1000;
    return r;
  }
  std::uint32_t free() { return service.figures().counters.free_blocks; }
  bool ends(std::size_t n) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30), [&] { return finished.size() == n; });
  }
};

}  // namespace

TEST_CASE("a leg whose KV comes over the network gets a ticket for its blocks, and waits") {
  Rig r;
  const auto t = r.service.reserve(Rig::request(1, 19));
  REQUIRE(t);
  REQUIRE(*t);
  CHECK((*t)->request == RequestId(1));
  CHECK((*t)->tokens == kv::TokenRange{0, 19});
  CHECK((*t)->blocks.size() == 5);  // of the 6 that it holds
  CHECK(r.free() == 32 - 6);
  CHECK(r.service.figures().counters.awaiting_kv == 1);
  CHECK(r.service.cancel(RequestId(1)) == std::optional<std::uint32_t>(6));
  CHECK_FALSE(r.service.cancel(RequestId(1)));
  CHECK(r.free() == 32);
}

TEST_CASE("a leg that computes all by itself needs no ticket") {
  Rig r;
  const auto t = r.service.reserve(Rig::request(1, 0));
  REQUIRE(t);
  CHECK_FALSE(*t);
  REQUIRE(r.ends(1));
  CHECK(r.finished[0].reason == "length");
  CHECK(r.free() == 32);
}

TEST_CASE("what the service counts keeps the rules of names") {
  Rig r;
  CHECK(sluice::test::metrics_faults(r.metrics.text()) == std::vector<std::string>{});
}

TEST_CASE("a reservation that fails holds nothing") {
  Rig r;
  auto q = Rig::request(1, 19);
  SECTION("a profile that this node lacks") {
    q.profile = "zip";
    CHECK(r.service.reserve(q).error().code == Errc::not_found);
  }
  SECTION("no room") {
    q.max_new_tokens = 200;
    CHECK_FALSE(r.service.reserve(q));
  }
  SECTION("too many legs") {
    for (std::uint64_t id = 2; id <= 5; ++id) REQUIRE(r.service.reserve(Rig::request(id, 19)));
    CHECK(r.service.reserve(q).error().code == Errc::resource_exhausted);
    r.service.cancel_all({});
  }
  CHECK(r.service.figures().legs == 0);
  CHECK(r.free() == 32);
}

TEST_CASE("KV that does not come in time ends its leg with an error") {
  Rig r;
  REQUIRE(r.service.reserve(Rig::request(1, 19)));
  r.service.expire();
  CHECK(r.service.figures().legs == 1);
  r.clock.advance(std::chrono::seconds(2));
  r.service.expire();
  REQUIRE(r.ends(1));
  CHECK(r.finished[0].reason == "error");
  CHECK(r.service.figures().legs == 0);
  CHECK(r.free() == 32);
}

TEST_CASE("everything goes when nobody reads it any more") {
  Rig r;
  for (std::uint64_t id = 1; id <= 3; ++id) REQUIRE(r.service.reserve(Rig::request(id, 19)));
  r.service.cancel_all({});
  CHECK(r.service.figures().legs == 0);
  CHECK(r.free() == 32);
  CHECK(r.finished.empty());
}

TEST_CASE("a grammar binds an answer") {
  Rig r;
  REQUIRE(r.service.reserve(Rig::bound(1, R"(root ::= "abc" ("x" | "yy") [d-f]{2,4} "z")")));
  REQUIRE(r.ends(1));
  INFO(spelled(r.tokens[RequestId(1)]));
  CHECK(std::regex_match(spelled(r.tokens[RequestId(1)]), std::regex("abc(x|yy)[d-f]{2,4}z")));
  CHECK(r.finished[0].reason == "stop");
  CHECK(r.free() == 32);
  CHECK(r.service.grammars().cached == 1);
}

TEST_CASE("a bound answer that is resumed anywhere goes on token for token") {
  const std::string grammar = R"(root ::= word ("k" word)*
word ::= [a-e]{3,6} | "m" root "n" | "zz")";
  Rig first;
  REQUIRE(first.service.reserve(Rig::bound(1, grammar)));
  REQUIRE(first.ends(1));
  const auto whole = first.tokens[RequestId(1)];
  REQUIRE(whole.size() > 5);
  for (std::size_t cut = 1; cut <= whole.size(); ++cut) {
    Rig r;
    auto q = Rig::bound(2, grammar);
    q.tokens.insert(q.tokens.end(), whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
    if (cut == 40) continue;  // nothing is left to generate
    REQUIRE(r.service.reserve(q));
    REQUIRE(r.ends(1));
    CHECK(r.finished[0].reason == first.finished[0].reason);
    CHECK(r.tokens[RequestId(2)] ==
          std::vector<TokenId>(whole.begin() + static_cast<std::ptrdiff_t>(cut), whole.end()));
  }
}

TEST_CASE("what cannot be bound ends its leg with a reason") {
  SECTION("a node without a tokenizer") {
    Rig r(nullptr);
    const auto no = r.service.reserve(Rig::bound(1, R"(root ::= "a")"));
    REQUIRE_FALSE(no);
    CHECK(no.error().code == Errc::unsupported);
    CHECK(r.free() == 32);
  }
  SECTION("no grammar at all") {
    Rig r;
    REQUIRE(r.service.reserve(Rig::bound(1, "root ::= (")));
    REQUIRE(r.ends(1));
    CHECK(r.finished[0].reason == "error");
    REQUIRE(r.finished[0].error);
    CHECK(r.free() == 32);
  }
  SECTION("letters that no token spells") {
    Rig r;
    REQUIRE(r.service.reserve(Rig::bound(1, R"(root ::= "ab" "7")")));
    REQUIRE(r.ends(1));
    REQUIRE(r.finished[0].error);
    CHECK(r.finished[0].error->code == Errc::unsupported);
  }
  SECTION("a resumed answer that is none of the grammar's") {
    Rig r;
    auto q = Rig::bound(1, R"(root ::= "abc")");
    q.tokens.push_back(9);
    REQUIRE(r.service.reserve(q));
    REQUIRE(r.ends(1));
    REQUIRE(r.finished[0].error);
    CHECK(r.finished[0].error->code == Errc::internal);
  }
}
