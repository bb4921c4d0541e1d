#include "kvtransfer/wire/ticket.h"

#include <openssl/rand.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "common/json/reader.h"

namespace sluice::kv {
namespace {

using nlohmann::json;

constexpr std::uint64_t kTicketVersion = 1;
constexpr std::uint64_t kMaxValidForMs = 24ULL * 3600 * 1000;

template <std::size_t N>
std::string hex(const std::array<std::uint8_t, N>& a) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string s;
  s.reserve(2 * N);
  for (const std::uint8_t b : a) {
    s += digits[b >> 4];
    s += digits[b & 15];
  }
  return s;
}

int nibble(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/// Bytes written as hexadecimal digits.
template <std::size_t N>
void read_hex(const JsonValue& v, std::array<std::uint8_t, N>& out) {
  std::string digits;
  if (!v.into(digits, Length{2 * N, 2 * N})) return;
  for (std::size_t i = 0; i < N; ++i) {
    const int hi = nibble(digits[2 * i]), lo = nibble(digits[2 * i + 1]);
    if (hi < 0 || lo < 0) return v.wrong("must be hexadecimal digits in lower case");
    out[i] = static_cast<std::uint8_t>(hi << 4 | lo);
  }
}

/// A list of 32-bit numbers; a wrong one is the list's mistake.
template <class T>
void read_numbers(const JsonValue& v, std::vector<T>& out, Length items) {
  if (!v.present()) return;
  if (v.raw().is_array())
    for (const json& e : v.raw())
      if (!e.is_number_integer() || (!e.is_number_unsigned() && e.get<std::int64_t>() < 0) ||
          e.get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max())
        return v.wrong("must hold numbers of 32 bits");
  v.into(out, items);
}

template <class E>
void read_code(const JsonValue& v, E& out, E last) {
  if (unsigned code = 0; v.into(code, {.least = 0, .most = static_cast<unsigned>(last)})) out = static_cast<E>(code);
}

}  // namespace

std::string to_hex(const TicketId& id) { return hex(id.value()); }

Result<> draw_secrets(Ticket& t) {
  std::array<std::uint8_t, 16> id;
  if (RAND_bytes(id.data(), id.size()) != 1 || RAND_bytes(t.key.data(), static_cast<int>(t.key.size())) != 1 ||
      RAND_bytes(reinterpret_cast<unsigned char*>(&t.nonce_base), sizeof t.nonce_base) != 1)
    return fail(Errc::internal, "the system's random source failed");
  t.id = TicketId(id);
  return {};
}

std::uint64_t wire_budget(const KvLayout& layout, TokenRange tokens) noexcept {
  // Worst case: every token in segments of its own, each with headers, a table entry and up to two scales a value.
  const std::uint64_t segments = std::uint64_t{2} * layout.layers * tokens.count;
  return 4 * std::uint64_t{layout.token_bytes()} * tokens.count + 256 * segments;
}

json to_json(const Ticket& t) {
  json blocks = json::array();
  for (const BlockId b : t.blocks) blocks.push_back(b.value());
  json j{{"version", kTicketVersion},
         {"id", hex(t.id.value())},
         {"key", hex(t.key)},
         {"nonce_base", t.nonce_base},
         {"seal", static_cast<unsigned>(t.seal)},
         {"request", t.request.value()},
         {"tenant", t.tenant},
         {"prefill_node", t.prefill_node.value()},
         {"prefill_incarnation", t.prefill_incarnation.value()},
         {"decode_node", t.decode_node.value()},
         {"decode_incarnation", t.decode_incarnation.value()},
         {"model_hash", t.model_hash},
         {"layers", t.layout.layers},
         {"kv_heads", t.layout.kv_heads},
         {"head_dim", t.layout.head_dim},
         {"kv_dtype", static_cast<unsigned>(t.layout.dtype)},
         {"format_hash", t.format_hash},
         {"profile", t.profile},
         {"codec", t.codec},
         {"token_begin", t.tokens.begin},
         {"token_count", t.tokens.count},
         {"block_size", t.block_size},
         {"blocks", std::move(blocks)},
         {"max_wire_bytes", t.max_wire_bytes},
         {"valid_for_ms", static_cast<std::uint64_t>(t.valid_for.count())}};
  if (!t.alternates.empty()) j["alternates"] = t.alternates;
  return j;
}

Result<Ticket> ticket_from_json(const json& j) {
  JsonReader in(j, {.what = "the ticket", .null_is_absent = false});
  JsonObject f = in.object();
  std::uint64_t version = 0;
  f.need("version").into(version);
  if (in.ok() && version != kTicketVersion)
    return fail(Errc::unsupported, "the ticket is of version {}, not {}", version, kTicketVersion);
  const Length name{.most = kMaxNameBytes};
  constexpr auto up_to = [](std::uint32_t most) { return NumberRange<std::uint32_t>{.least = 1, .most = most}; };
  Ticket t;
  std::array<std::uint8_t, 16> id{};
  read_hex(f.need("id"), id);
  t.id = TicketId(id);
  read_hex(f.need("key"), t.key);
  f.need("nonce_base").into(t.nonce_base);
  read_code(f.need("seal"), t.seal, SealMode::digest);
  f.need("request").into(t.request);
  f.need("tenant").into(t.tenant, name);
  f.need("prefill_node").into(t.prefill_node, name);
  f.need("prefill_incarnation").into(t.prefill_incarnation);
  f.need("decode_node").into(t.decode_node, name);
  f.need("decode_incarnation").into(t.decode_incarnation);
  f.need("model_hash").into(t.model_hash);
  f.need("layers").into(t.layout.layers, up_to(kMaxLayers));
  f.need("kv_heads").into(t.layout.kv_heads, up_to(kMaxKvHeads));
  f.need("head_dim").into(t.layout.head_dim, up_to(kMaxHeadDim));
  read_code(f.need("kv_dtype"), t.layout.dtype, KvDType::f32);
  f.need("format_hash").into(t.format_hash);
  f.need("profile").into(t.profile, name);
  f.need("codec").into(t.codec);
  read_numbers(f.want("alternates"), t.alternates, {.most = kMaxAlternates});
  f.need("token_begin").into(t.tokens.begin, {.least = 0, .most = kMaxTicketTokens - 1});
  f.need("token_count").into(t.tokens.count, up_to(kMaxTicketTokens - t.tokens.begin));
  f.need("block_size").into(t.block_size, up_to(kMaxTicketTokens));
  SLUICE_TRY(in.done());
  const std::size_t end = std::size_t{t.tokens.begin} + t.tokens.count;
  const std::size_t blocks = (end + t.block_size - 1) / t.block_size;
  read_numbers(f.need("blocks"), t.blocks, {blocks, blocks});
  f.need("max_wire_bytes").into(t.max_wire_bytes);
  std::uint64_t valid_for_ms = 1;
  f.need("valid_for_ms").into(valid_for_ms, {.least = 1, .most = kMaxValidForMs});
  SLUICE_TRY(in.done());
  t.valid_for = std::chrono::milliseconds(valid_for_ms);
  return t;
}

}  // namespace sluice::kv
