// raw: the rows as they are.
#include <cstring>

#include "kvtransfer/codec/blob.h"
#include "kvtransfer/codec/codecs.h"

namespace sluice::kv {
namespace {

class Raw final : public Codec {
 public:
  explicit Raw(std::uint32_t id) : id_(id) {}
  std::uint32_t id() const noexcept override { return id_; }
  std::string_view name() const noexcept override { return "raw"; }
  bool lossless() const noexcept override { return true; }
  bool supports(const SegmentShape& s) const noexcept override { return sane_shape(s); }
  std::size_t max_encoded_size(const SegmentShape& s) const noexcept override {
    return kBlobHeaderBytes + s.raw_bytes();
  }

  Result<std::size_t> encode(const SegmentShape& s, const ConstRows& rows, std::span<std::byte> out,
                             CodecScratch&) const override {
    SLUICE_TRY(check_encode(*this, s, out));
    write_blob_header(out, id_, s);
    std::byte* to = out.data() + kBlobHeaderBytes;
    each_run(rows, s.tokens, [&](std::uint32_t r, std::uint32_t n, const std::byte* from) {
      std::memcpy(to + r * s.row_bytes(), from, n * s.row_bytes());
    });
    return max_encoded_size(s);
  }

  Result<> decode(const SegmentShape& s, std::span<const std::byte> in, const MutRows& rows,
                  CodecScratch&) const override {
    SLUICE_TRY(check_blob_header(in, id_, s));
    if (in.size() != max_encoded_size(s))
      return fail(Errc::data_corrupt, "raw segment of {} bytes, {} expected", in.size(), max_encoded_size(s));
    const std::byte* from = in.data() + kBlobHeaderBytes;
    each_run(rows, s.tokens, [&](std::uint32_t r, std::uint32_t n, std::byte* to) {
      std::memcpy(to, from + r * s.row_bytes(), n * s.row_bytes());
    });
    return {};
  }

 private:
  std::uint32_t id_;
};

}  // namespace

std::unique_ptr<Codec> make_raw(std::uint32_t id) { return std::make_unique<Raw>(id); }

}  // namespace sluice::kv
