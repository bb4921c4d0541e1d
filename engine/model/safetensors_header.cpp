// The header of a safetensors file: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...} and an
// optional "__metadata__" of strings. Read event by event, so that depth, repeated names and unknown fields are
// refused as they come and nothing but the tensors is ever held.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "engine/model/safetensors.h"

namespace sluice::engine {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxHeader = 100'000'000;  // as the reference implementation
constexpr std::size_t kMaxRank = 16;

struct Entry {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> offsets;  // begin, end in the data area
  bool has_shape = false;
};

// Every type of the format, whatever the engine reads: a tensor that nobody needs must not spoil the others.
std::uint64_t element_bits(std::string_view dtype) noexcept {
  if (dtype == "F4") return 4;
  if (dtype == "F6_E2M3" || dtype == "F6_E3M2") return 6;
  if (dtype == "BF16" || dtype == "F16" || dtype == "I16" || dtype == "U16") return 16;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 32;
  if (dtype == "F64" || dtype == "I64" || dtype == "U64" || dtype == "C64") return 64;
  if (dtype == "U8" || dtype == "I8" || dtype == "BOOL" || dtype.starts_with("F8_")) return 8;
  return 0;
}

// SAX consumer (nlohmann's json_sax interface). `where_` is the path so far: depth 1 tensor names, 2 fields, 3 numbers.
class HeaderReader {
 public:
  explicit HeaderReader(std::vector<Entry>& out) : out_(out) {}
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

  bool null() { return refuse("a null"); }
  bool boolean(bool) { return refuse("a boolean"); }
  bool number_integer(json::number_integer_t) { return refuse("a negative number"); }
  bool number_float(json::number_float_t, const std::string&) { return refuse("a fraction"); }
  bool binary(json::binary_t&) { return refuse("binary data"); }

  bool number_unsigned(json::number_unsigned_t v) {
    if (!list_) return refuse("a number");
    if (list_->size() == kMaxRank) return refuse("a list of more than 16 numbers");
    list_->push_back(v);
    return true;
  }
  bool string(std::string& s) {
    if (depth_ == 2 && metadata_) return true;
    if (depth_ != 2 || list_ || field_ != "dtype") return refuse("a string");
    out_.back().dtype = std::move(s);
    return true;
  }
  bool start_object(std::size_t) {
    if (list_ || depth_ == 2) return refuse("an object");
    ++depth_;
    return true;
  }
  bool end_object() {
    --depth_;
    if (depth_ == 1) metadata_ = false;
    return true;
  }
  bool start_array(std::size_t) {
    if (depth_ != 2 || metadata_ || list_) return refuse("a list");
    Entry& e = out_.back();
    if (field_ == "shape" && !e.has_shape) {
      e.has_shape = true;
      list_ = &e.shape;
    } else if (field_ == "data_offsets" && e.offsets.empty()) {
      list_ = &e.offsets;
    } else {
      return refuse("a list");
    }
    return true;
  }
  bool end_array() {
    list_ = nullptr;
    return true;
  }
  bool key(std::string& k) {
    if (depth_ == 2) {
      field_ = std::move(k);
      if (metadata_ || field_ == "dtype" || field_ == "shape" || field_ == "data_offsets") return true;
      return refuse("an unknown field");
    }
    metadata_ = k == "__metadata__";
    if (!metadata_) {
      out_.push_back({});
      out_.back().name = std::move(k);
    } else if (std::exchange(metadata_done_, true)) {
      return refuse("a second __metadata__");
    }
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const json::exception&) {
    error_ = fmt::format("not valid JSON at byte {}", position);
    return false;
  }

 private:
  bool refuse(const char* what) {
    error_ = fmt::format("{} where it does not belong, after tensor '{}'", what,
                         out_.empty() ? std::string{} : out_.back().name.substr(0, 200));
    return false;
  }

  std::vector<Entry>& out_;
  std::string error_;
  std::string field_;
  std::vector<std::uint64_t>* list_ = nullptr;
  int depth_ = 0;
  bool metadata_ = false;
  bool metadata_done_ = false;
};

Result<std::uint64_t> byte_length(const Entry& e) {
  const std::uint64_t bits = element_bits(e.dtype);
  if (bits == 0) return fail(Errc::data_corrupt, "tensor '{}' has unknown type '{}'", e.name, e.dtype.substr(0, 40));
  std::uint64_t all = bits;
  for (const std::uint64_t d : e.shape)
    if (__builtin_mul_overflow(all, d, &all))
      return fail(Errc::data_corrupt, "tensor '{}' has an impossible shape", e.name);
  if (all % 8 != 0) return fail(Errc::data_corrupt, "tensor '{}' does not end with a whole byte", e.name);
  return all / 8;
}

// In file order the tensors must follow one another without gap or overlap, from 0 to `data_bytes`.
Result<> check_tiling(std::vector<Entry>& entries, std::uint64_t data_bytes) {
  for (const Entry& e : entries)
    if (e.dtype.empty() || !e.has_shape || e.offsets.size() != 2 || e.offsets[0] > e.offsets[1])
      return fail(Errc::data_corrupt, "tensor '{}' lacks a valid dtype, shape or data_offsets", e.name);
  std::ranges::sort(entries, {}, [](const Entry& e) { return std::pair(e.offsets[0], e.offsets[1]); });
  std::uint64_t at = 0;
  for (const Entry& e : entries) {
    SLUICE_ASSIGN(const std::uint64_t want, byte_length(e));
    if (e.offsets[0] != at)
      return fail(Errc::data_corrupt, "tensor '{}' begins at byte {} of the data instead of {}", e.name, e.offsets[0],
                  at);
    if (e.offsets[1] - e.offsets[0] != want)
      return fail(Errc::data_corrupt, "tensor '{}' has {} bytes where its shape needs {}", e.name,
                  e.offsets[1] - e.offsets[0], want);
    at = e.offsets[1];
  }
  if (at != data_bytes) return fail(Errc::data_corrupt, "the tensors take {} of {} data bytes", at, data_bytes);
  return {};
}

}  // namespace

Result<TensorMap> parse_safetensors(std::span<const std::byte> file) {
  std::uint64_t header_bytes = 0;
  if (file.size() < sizeof header_bytes) return fail(Errc::data_corrupt, "shorter than its own length field");
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);  // little endian, as this machine
  const std::span<const std::byte> rest = file.subspan(sizeof header_bytes);
  if (header_bytes > rest.size() || header_bytes > kMaxHeader)
    return fail(Errc::data_corrupt, "header of {} bytes in a file of {}", header_bytes, file.size());

  std::vector<Entry> entries;
  HeaderReader reader(entries);
  const char* text = reinterpret_cast<const char*>(rest.data());
  if (header_bytes == 0 || *text != '{' || !json::sax_parse(text, text + header_bytes, &reader))
    return fail(Errc::data_corrupt, "bad header: {}", reader.error().empty() ? "not an object" : reader.error());

  const std::span<const std::byte> data = rest.subspan(header_bytes);
  SLUICE_TRY(check_tiling(entries, data.size()));
  TensorMap out;
  for (Entry& e : entries) {
    TensorView view{std::move(e.dtype), std::move(e.shape), data.subspan(e.offsets[0], e.offsets[1] - e.offsets[0])};
    const auto [at, fresh] = out.try_emplace(std::move(e.name), std::move(view));
    if (!fresh) return fail(Errc::data_corrupt, "tensor '{}' is listed twice", at->first);
  }
  return out;
}

}  // namespace sluice::engine
