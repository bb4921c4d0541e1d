#include "kvtransfer/transport/assembler.h"

#include <algorithm>
#include <cstring>

namespace sluice::kv {

Result<> Assembler::first(MessageId id, std::span<const std::byte> header, std::uint64_t total,
                          std::span<const std::byte> bytes) {
  if (open_) return fail(Errc::data_corrupt, "a message began inside another one");
  if (header.size() > kMaxMessageHeader || total > kMaxMessagePayload)
    return fail(Errc::data_corrupt, "a message of {} header and {} payload bytes is over the limits ({}, {})",
                header.size(), total, kMaxMessageHeader, kMaxMessagePayload);
  open_ = true;
  id_ = id;
  std::ranges::copy(header, header_.begin());
  header_bytes_ = header.size();
  total_ = total;
  received_ = 0;
  target_ = total == 0 ? std::span<std::byte>{} : handler_.on_payload(conn_, id, this->header(), total_);
  if (!target_.empty() && target_.size() != total_)
    return fail(Errc::internal, "the handler gave {} bytes for a payload of {}", target_.size(), total_);
  return take(bytes);
}

Result<> Assembler::more(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (!open_ || offset != received_ || bytes.empty())
    return fail(Errc::data_corrupt, "a chunk at offset {} came where {} was due", offset, open_ ? received_ : 0);
  return take(bytes);
}

Result<> Assembler::take(std::span<const std::byte> bytes) {
  if (bytes.size() > total_ - received_)
    return fail(Errc::data_corrupt, "a chunk of {} bytes overruns its message of {}", bytes.size(), total_);
  if (!target_.empty() && !bytes.empty()) std::memcpy(target_.data() + received_, bytes.data(), bytes.size());
  received_ += bytes.size();
  if (received_ < total_) return {};
  open_ = false;
  if (total_ == 0 || !target_.empty()) handler_.on_message(conn_, id_, header(), target_);
  target_ = {};
  return {};
}

}  // namespace sluice::kv
