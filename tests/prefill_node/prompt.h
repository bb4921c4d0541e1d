#pragma once
// A call of the coordinator and its ticket, right in every point, for tests to change.
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "common/control/messages.h"
#include "kvtransfer/codec/codec.h"
#include "kvtransfer/wire/ticket.h"
#include "node/kv/kv_identity.h"

namespace sluice::prefill::test {

inline const kv::KvLayout kLayout{3, 2, 16, kv::KvDType::bf16};

inline node::KvIdentity me() { return {NodeId("p"), Incarnation(4), 0xfa4e, kLayout}; }

inline kv::Ticket ticket(const kv::CodecRegistry& codecs, std::uint64_t id, std::uint32_t tokens,
                         const std::string& profile = "raw", const std::vector<std::string>& alternates = {}) {
  kv::Ticket t;
  REQUIRE(kv::draw_secrets(t));
  t.request = RequestId(id);
  t.tenant = "default";
  t.prefill_node = NodeId("p");
  t.prefill_incarnation = Incarnation(4);
  t.decode_node = NodeId("d");
  t.decode_incarnation = Incarnation(9);
  t.model_hash = 0xfa4e;
  t.layout = kLayout;
  t.format_hash = codecs.format_hash();
  t.profile = profile;
  t.codec = codecs.profile(profile)->codec->id();
  for (const std::string& a : alternates) t.alternates.push_back(codecs.profile(a)->codec->id());
  t.tokens = {0, tokens};
  t.block_size = 8;
  for (std::uint32_t b = 0; b * t.block_size < tokens; ++b) t.blocks.emplace_back(b);
  t.max_wire_bytes = kv::wire_budget(t.layout, t.tokens);
  t.valid_for = std::chrono::seconds(60);
  return t;
}

inline control::PrefillRequest call(const kv::Ticket& t) {
  control::PrefillRequest r;
  r.request = t.request;
  r.attempt = 2;
  r.tokens.assign(t.tokens.count, 7);
  r.ticket = kv::to_json(t);
  r.data_address = "10.0.0.1:99";
  r.profile = t.profile;
  return r;
}

}  // namespace sluice::prefill::test
