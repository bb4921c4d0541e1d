#pragma once
// A request of POST /v1/responses: a chat in other words, and what its answer says of it again.
//
// Pure but for what the memory holds; any thread. Failure: an ApiError that names the parameter at fault; fields that
// are unknown or cannot be honoured are refused by name.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "coordinator/api/requests.h"
#include "coordinator/api/responses/memory.h"

namespace sluice::coordinator {

inline constexpr std::size_t kMaxTurns = 1024;  // that one conversation by previous_response_id may have

struct ResponsesRequest {
  GenerateRequest chat;
  nlohmann::json said;   // fields of the response object that repeat what was asked, defaults filled in
  std::string input;     // JSON text: its own items, each with an id, as GET .../input_items gives them
  std::string previous;  // previous_response_id; empty: none
  bool store = true;
};

/// `id`: of the response to come. owner: whose earlier responses it may go on from.
[[nodiscard]] ApiResult<ResponsesRequest> read_responses_request(std::string_view text, const HttpHeaders& headers,
                                                                 const ModelInfo& model, const std::string& id,
                                                                 const std::string& owner, ResponseMemory& memory);

/// An error that speaks of a chat's fields, in the words of this API.
[[nodiscard]] ApiError in_words_of_responses(ApiError error);

/// 404: it is not there, or no more.
[[nodiscard]] ApiError response_not_found(std::string_view id, std::string param);

}  // namespace sluice::coordinator
