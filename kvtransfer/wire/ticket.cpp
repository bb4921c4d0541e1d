#include "kvtransfer/wire/ticket.h"

#include <openssl/rand.h>

#include <limits>
#include <nlohmann/json.hpp>

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

/// Reads fields of a JSON object and remembers the first that was wrong, so that the caller checks once.
class Reader {
 public:
  explicit Reader(const json& j) : j_(j) {
    if (!j.is_object()) bad("ticket");
  }
  [[nodiscard]] bool ok() const noexcept { return bad_.empty(); }
  [[nodiscard]] const std::string& at_fault() const noexcept { return bad_; }

  [[nodiscard]] std::uint64_t number(const char* key, std::uint64_t min, std::uint64_t max) {
    const json* v = find(key);
    // A non-negative integer built in memory may be stored as signed; both forms are integers >= 0.
    if (v && v->is_number_integer() && (v->is_number_unsigned() || v->get<std::int64_t>() >= 0))
      if (const auto n = v->get<std::uint64_t>(); n >= min && n <= max) return n;
    bad(key);
    return min;
  }
  template <class T>
  [[nodiscard]] T number(const char* key, std::uint64_t min = 0, std::uint64_t max = std::numeric_limits<T>::max()) {
    return static_cast<T>(number(key, min, max));
  }
  [[nodiscard]] std::string text(const char* key) {
    const json* v = find(key);
    if (v && v->is_string())
      if (const auto& s = v->get_ref<const std::string&>(); s.size() <= kMaxNameBytes) return s;
    bad(key);
    return {};
  }
  template <std::size_t N>
  [[nodiscard]] std::array<std::uint8_t, N> bytes(const char* key) {
    std::array<std::uint8_t, N> out{};
    const json* v = find(key);
    if (!v || !v->is_string() || v->get_ref<const std::string&>().size() != 2 * N) return bad(key), out;
    const auto& s = v->get_ref<const std::string&>();
    for (std::size_t i = 0; i < N; ++i) {
      const int hi = nibble(s[2 * i]), lo = nibble(s[2 * i + 1]);
      if (hi < 0 || lo < 0) return bad(key), out;
      out[i] = static_cast<std::uint8_t>(hi << 4 | lo);
    }
    return out;
  }
  /// An array of min to max numbers; absent is empty where min is 0.
  template <class T>
  [[nodiscard]] std::vector<T> list(const char* key, std::size_t min, std::size_t max) {
    std::vector<T> out;
    const json* v = find(key);
    if (!v && min == 0) return out;
    if (!v || !v->is_array() || v->size() < min || v->size() > max) return bad(key), out;
    out.reserve(v->size());
    for (const json& e : *v) {
      if (!e.is_number_integer() || (!e.is_number_unsigned() && e.get<std::int64_t>() < 0) ||
          e.get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max())
        return bad(key), std::vector<T>{};
      out.emplace_back(e.get<std::uint32_t>());
    }
    return out;
  }
  void bad(const char* key) {
    if (bad_.empty()) bad_ = key;
  }

 private:
  [[nodiscard]] const json* find(const char* key) const {
    if (!j_.is_object()) return nullptr;
    const auto it = j_.find(key);
    return it == j_.end() ? nullptr : &*it;
  }
  const json& j_;
  std::string bad_;
};

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
  Reader r(j);
  if (r.ok() && r.number<std::uint64_t>("version") != kTicketVersion && r.ok())
    return fail(Errc::unsupported, "ticket version is not {}", kTicketVersion);
  Ticket t;
  t.id = TicketId(r.bytes<16>("id"));
  t.key = r.bytes<32>("key");
  t.nonce_base = r.number<std::uint32_t>("nonce_base");
  t.seal = static_cast<SealMode>(r.number("seal", 0, static_cast<unsigned>(SealMode::digest)));
  t.request = RequestId(r.number<std::uint64_t>("request"));
  t.tenant = r.text("tenant");
  t.prefill_node = NodeId(r.text("prefill_node"));
  t.prefill_incarnation = Incarnation(r.number<std::uint64_t>("prefill_incarnation"));
  t.decode_node = NodeId(r.text("decode_node"));
  t.decode_incarnation = Incarnation(r.number<std::uint64_t>("decode_incarnation"));
  t.model_hash = r.number<std::uint64_t>("model_hash");
  t.layout.layers = r.number<std::uint32_t>("layers", 1, kMaxLayers);
  t.layout.kv_heads = r.number<std::uint32_t>("kv_heads", 1, kMaxKvHeads);
  t.layout.head_dim = r.number<std::uint32_t>("head_dim", 1, kMaxHeadDim);
  t.layout.dtype = static_cast<KvDType>(r.number("kv_dtype", 0, static_cast<unsigned>(KvDType::f32)));
  t.format_hash = r.number<std::uint64_t>("format_hash");
  t.profile = r.text("profile");
  t.codec = r.number<std::uint32_t>("codec");
  t.alternates = r.list<std::uint32_t>("alternates", 0, kMaxAlternates);
  t.tokens.begin = r.number<std::uint32_t>("token_begin", 0, kMaxTicketTokens - 1);
  t.tokens.count = r.number<std::uint32_t>("token_count", 1, kMaxTicketTokens - t.tokens.begin);
  t.block_size = r.number<std::uint32_t>("block_size", 1, kMaxTicketTokens);
  if (r.ok()) {
    const std::size_t end = std::size_t{t.tokens.begin} + t.tokens.count;
    const std::size_t blocks = (end + t.block_size - 1) / t.block_size;
    t.blocks = r.list<BlockId>("blocks", blocks, blocks);
  }
  t.max_wire_bytes = r.number<std::uint64_t>("max_wire_bytes");
  t.valid_for = std::chrono::milliseconds(r.number("valid_for_ms", 1, kMaxValidForMs));
  if (!r.ok()) return fail_param(r.at_fault(), "the ticket's '{}' is missing or out of range", r.at_fault());
  return t;
}

}  // namespace sluice::kv
