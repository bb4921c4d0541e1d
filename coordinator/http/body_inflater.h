#pragma once
// Internal to the HTTP server: a request body in a content coding becomes what was meant (RFC 9110, section 8.4), in
// small steps, so that a server of one thread can serve others between them.
//
// gzip is a series of one or more members (RFC 1952, section 2.2), deflate one zlib stream (RFC 1950). Whatever else
// follows, or an end that is missing, is broken data: a body has one meaning or none.
// Threading: none of its own. Failure: the ApiError the client gets; 413 as soon as the decoded size passes the bound.
#include <zlib.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

enum class ContentCoding { identity, gzip, deflate };
/// Of a Content-Encoding field's value; nothing if it is none that is decoded here.
[[nodiscard]] std::optional<ContentCoding> content_coding(std::string_view value);
/// For Accept-Encoding in a 415 (RFC 9110, section 12.5.3).
inline constexpr std::string_view kContentCodings = "gzip, deflate, identity";

class BodyInflater {
 public:
  /// `body` outlives this. `coding` is gzip or deflate.
  BodyInflater(ContentCoding coding, std::string_view body, std::size_t max_bytes);
  ~BodyInflater();
  BodyInflater(const BodyInflater&) = delete;
  BodyInflater& operator=(const BodyInflater&) = delete;

  static constexpr std::size_t kStep = 64 * 1024;  // bytes read and bytes written in one step, at most
  /// Some more of it. True: that was the last of it, take() has the whole.
  [[nodiscard]] std::expected<bool, ApiError> step();
  [[nodiscard]] std::string take() { return std::move(decoded_); }

 private:
  [[nodiscard]] ApiError broken(std::string_view why) const;

  ContentCoding coding_;
  std::string_view left_;
  std::size_t max_bytes_;
  z_stream z_{};
  bool usable_ = false;
  bool between_ = true;  // members: nothing of the next one was read
  std::array<char, kStep> out_;
  std::string decoded_;
};

}  // namespace sluice::coordinator
