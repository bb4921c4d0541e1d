#include "coordinator/http/body_inflater.h"

#include <algorithm>

#include "coordinator/http/request_reader.h"

namespace sluice::coordinator {

namespace {

constexpr int kWindowBits = 15;
constexpr int kGzip = 16;  // added to the window: zlib's way to ask for RFC 1952 instead of RFC 1950

std::string_view name(ContentCoding c) { return c == ContentCoding::gzip ? "gzip" : "deflate"; }

ApiError no_memory() { return refusal(503, "There is no memory to decode the body.", "unavailable"); }

std::string_view trim(std::string_view s) {
  const auto first = s.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::optional<ContentCoding> content_coding(std::string_view value) {
  auto coding = ContentCoding::identity;
  while (!value.empty()) {
    const auto comma = std::min(value.find(','), value.size());
    const std::string_view one = trim(value.substr(0, comma));
    value.remove_prefix(std::min(comma + 1, value.size()));
    if (one.empty() || equals_ignore_case(one, "identity")) continue;
    if (coding != ContentCoding::identity) return std::nullopt;  // one coding over another
    if (equals_ignore_case(one, "gzip") || equals_ignore_case(one, "x-gzip"))
      coding = ContentCoding::gzip;
    else if (equals_ignore_case(one, "deflate"))
      coding = ContentCoding::deflate;
    else
      return std::nullopt;
  }
  return coding;
}

BodyInflater::BodyInflater(ContentCoding coding, std::string_view body, std::size_t max_bytes)
    : coding_(coding), left_(body), max_bytes_(max_bytes) {
  usable_ = inflateInit2(&z_, kWindowBits + (coding == ContentCoding::gzip ? kGzip : 0)) == Z_OK;
}

BodyInflater::~BodyInflater() {
  if (usable_) inflateEnd(&z_);
}

ApiError BodyInflater::broken(std::string_view why) const {
  return refusal(400, fmt::format("The body is not well-formed {}: {}.", name(coding_), why), "malformed_body");
}

std::expected<bool, ApiError> BodyInflater::step() {
  if (!usable_) return std::unexpected(no_memory());
  const std::size_t given = std::min(left_.size(), kStep);
  z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(left_.data()));  // zlib reads only
  z_.avail_in = static_cast<uInt>(given);
  z_.next_out = reinterpret_cast<Bytef*>(out_.data());
  z_.avail_out = static_cast<uInt>(out_.size());
  bool over = left_.empty() && between_;  // no body at all: nothing to decode
  while (!over) {
    const auto before = z_.avail_in;
    const int code = inflate(&z_, Z_NO_FLUSH);
    if (z_.avail_in < before) between_ = false;
    if (code == Z_STREAM_END) {
      between_ = true;
      over = z_.avail_in == 0 && given == left_.size();
      if (over) break;
      if (coding_ == ContentCoding::deflate) return std::unexpected(broken("something follows its end"));
      inflateReset(&z_);
      if (z_.avail_in > 0 && z_.avail_out > 0) continue;
      break;
    }
    if (code == Z_BUF_ERROR || code == Z_OK) {
      if (z_.avail_in == 0 && z_.avail_out > 0 && given == left_.size())
        return std::unexpected(broken("it ends too early"));
      break;  // this step's share is read or written
    }
    if (code == Z_MEM_ERROR) return std::unexpected(no_memory());
    return std::unexpected(broken(z_.msg != nullptr ? z_.msg : "it needs a dictionary"));
  }
  left_.remove_prefix(given - z_.avail_in);
  const std::size_t made = out_.size() - z_.avail_out;
  if (made > max_bytes_ - decoded_.size())
    return std::unexpected(refusal(
        413, fmt::format("The request's body, decoded, is larger than {} bytes.", max_bytes_), "body_too_large"));
  decoded_.append(out_.data(), made);
  return over;
}

}  // namespace sluice::coordinator
