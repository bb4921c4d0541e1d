#include "coordinator/api/messages/errors.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

std::string_view type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 408:
    case 504:
      return "timeout_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

}  // namespace

json messages_error(const ApiError& e, std::string_view request_id) {
  json error = {{"type", type_of(e.status)}, {"message", e.message}};
  if (!e.param.empty()) error["param"] = e.param;  // beyond Anthropic's own: which field is at fault
  if (!e.code.empty()) error["code"] = e.code;
  return {{"type", "error"}, {"error", std::move(error)}, {"request_id", request_id}};
}

}  // namespace sluice::coordinator
