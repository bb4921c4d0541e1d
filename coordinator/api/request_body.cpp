#include "coordinator/api/request_body.h"

#include <string>

#include "common/json/parse.h"

namespace sluice::coordinator {

using nlohmann::json;

ApiError api_error(const JsonReader& in) {
  const Error e = in.done().error();
  return ApiError::invalid(e.message + ".", e.param,
                           in.mistake() == JsonMistake::type ? "invalid_type" : "invalid_value");
}

ApiResult<json> parse_body(std::string_view body) {
  const JsonText as{.what = "The request body", .max_bytes = body.size(), .max_depth = kMaxJsonDepth};
  auto j = parse_json_object(body, as);  // its length was bounded where it was received
  if (!j) return std::unexpected(ApiError::invalid(j.error().message + ".", {}, "invalid_json"));
  return std::move(*j);
}

ApiResult<std::unique_ptr<RequestBody>> RequestBody::open(std::string_view text, const ModelInfo& model) {
  SLUICE_ASSIGN(json body, parse_body(text));
  std::unique_ptr<RequestBody> opened(new RequestBody(std::move(body)));
  std::string name;
  if (opened->fields_.want("model").into(name) && !serves(model, name)) return std::unexpected(model_not_found(name));
  return opened;
}

ApiResult<> RequestBody::done() const {
  if (!in_.ok()) return std::unexpected(api_error(in_));
  return {};
}

}  // namespace sluice::coordinator
