#pragma once
// The body of a request that may name a model: its JSON, and the reader of its fields. Internal to the API's readers.
// Threading: a local of one function. Failure: an ApiError that names the field at fault.
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "common/json/reader.h"
#include "coordinator/api/requests.h"

namespace sluice::coordinator {

class RequestBody {
 public:
  /// A body that asks for a model served here, or for none: one is served, so there is no need to name it.
  [[nodiscard]] static ApiResult<std::unique_ptr<RequestBody>> open(std::string_view text, const ModelInfo& model);
  RequestBody(const RequestBody&) = delete;
  RequestBody& operator=(const RequestBody&) = delete;

  [[nodiscard]] const nlohmann::json& sorted() const { return body_; }
  [[nodiscard]] JsonObject& fields() { return fields_; }
  /// The first mistake.
  [[nodiscard]] ApiResult<> done() const;
  /// `q`, unless a mistake was found.
  template <class Q>
  [[nodiscard]] ApiResult<Q> done(Q q) const {
    SLUICE_TRY(done());
    return q;
  }

 private:
  explicit RequestBody(nlohmann::json j) : body_(std::move(j)), in_(body_, {}), fields_(in_.object()) {}

  const nlohmann::json body_;
  JsonReader in_;
  JsonObject fields_;
};

/// A reader's first mistake as the API says it.
[[nodiscard]] ApiError api_error(const JsonReader& in);

}  // namespace sluice::coordinator
