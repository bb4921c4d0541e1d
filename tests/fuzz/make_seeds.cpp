// Writes the seeds of the codec, frame, object, ticket and reference targets: make_fuzz_seeds DIR (tests/fuzz/seeds).
// To be run again when profiles or formats change.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kvtransfer/wire/reference.h"
#include "node/quality/divergence.h"
#include "tests/kvstore/objects.h"
#include "tests/kvtransfer_codec/segments.h"
#include "tests/kvtransfer_wire/transfer.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

void save(const std::filesystem::path& file, std::initializer_list<int> prefix, std::span<const std::byte> a,
          std::span<const std::byte> b = {}) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream f(file, std::ios::binary);
  for (const int x : prefix) f.put(static_cast<char>(x));
  f.write(reinterpret_cast<const char*>(a.data()), static_cast<std::streamsize>(a.size()));
  f.write(reinterpret_cast<const char*>(b.data()), static_cast<std::streamsize>(b.size()));
}

/// As codec_fuzz.cpp reads its prefix.
void codec_seeds(const std::filesystem::path& dir, const CodecRegistry& registry) {
  CodecScratch scratch;
  int index = 0;
  for (const Codec* c : registry.codecs()) {
    for (const int kind : {0, 1}) {
      const SegmentShape s{.tokens = 21,
                           .kv_heads = 2,
                           .head_dim = 32,
                           .kind = static_cast<KvKind>(kind),
                           .first_token = 4096,
                           .layers = 8,
                           .end_token = 1U << 20};
      if (!c->supports(s)) continue;
      Pages p(s);
      p.set_values(realistic(s, 1));
      std::vector<std::byte> blob(c->max_encoded_size(s));
      blob.resize(c->encode(s, std::as_const(p).reading(), blob, scratch).value());
      save(dir / (std::string(c->name()) + (kind == 1 ? "_values" : "_keys")), {index, kind, 20, 1, 15, 0}, blob);
    }
    ++index;
  }
}

/// As frame_fuzz.cpp has them: sealed, and plain for the harness to seal.
void frame_seeds(const std::filesystem::path& dir, const CodecRegistry& registry) {
  const KvLayout layout{.layers = 2, .kv_heads = 1, .head_dim = 8};
  FlatKv kv(layout, 40);
  kv.fill(1);
  FrameScratch scratch;
  int index = 0;
  for (const Profile& p : registry.profiles()) {
    Ticket t;
    t.id = TicketId({1, 2, 3});
    t.key = {4, 5, 6};
    t.prefill_incarnation = Incarnation(7);
    t.decode_incarnation = Incarnation(8);
    t.layout = layout;
    t.profile = p.name;
    t.codec = p.codec->id();
    t.tokens = {0, 40};
    SentFrame f = build(t, registry, kv, {{0, 2}, kKeysAndValues, {5, 3}}, 0, scratch);
    save(dir / p.name, {index, 0}, f.header, f.payload);
    const auto h = parse_frame_header(f.header).value();
    if (!scratch.sealer.open(t.seal, t.key, make_nonce(0, Direction::prefill_to_decode, 0),
                             std::span(f.header).first<kSealedHeaderBytes>(), f.payload, h.tag))
      throw std::runtime_error("the seal of a seed does not open");
    save(dir / (p.name + "_plain"), {index, 1}, f.header, f.payload);
    ++index;
  }
}

void ticket_seeds(const std::filesystem::path& dir, const CodecRegistry& registry) {
  const Ticket t = make_ticket(registry, {.layers = 2, .kv_heads = 1, .head_dim = 8}, {0, 40}, "k8v4");
  const auto cbor = nlohmann::json::to_cbor(to_json(t));
  const std::string text = to_json(t).dump();
  save(dir / "cbor", {0}, std::as_bytes(std::span(cbor)));
  save(dir / "text", {1}, std::as_bytes(std::span(text)));
}

/// As reference_fuzz.cpp has them: sealed, and for the harness to seal.
void reference_seeds(const std::filesystem::path& dir) {
  Ticket t;
  t.id = TicketId({1, 2, 3});
  t.key = {4, 5, 6};
  for (const std::size_t tokens : {std::size_t{1}, std::size_t{5}, kMaxReferenceTokens}) {
    std::vector<float> logits(64);
    for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = 0.1F * static_cast<float>(i % 7);
    const auto note = write_reference(t, node::head_of(logits, tokens).value()).value();
    save(dir / fmt::format("{}_sealed", tokens), {0}, note);
    save(dir / fmt::format("{}_plain", tokens), {1}, note);
  }
}

/// As object_fuzz.cpp has them.
void object_seeds(const std::filesystem::path& dir) {
  using namespace kvstore::test;
  const Recipe small{.bytes = 64};
  save(dir / "plain", {0}, make_object(small).bytes());
  save(dir / "digested", {1}, make_object(small).bytes());
  save(dir / "sealed", {1}, make_object(small, sealing_keys()).bytes());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path dir = argv[1];
  const auto registry = make_registry();
  codec_seeds(dir / "codec", *registry);
  frame_seeds(dir / "frame", *registry);
  object_seeds(dir / "object");
  ticket_seeds(dir / "ticket", *registry);
  reference_seeds(dir / "reference");
}
