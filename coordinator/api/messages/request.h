#pragma once
// A request of POST /v1/messages, or of /v1/messages/count_tokens: a chat in other words.
//
// Pure functions; any thread. Failure: an ApiError that names the parameter at fault; fields that are unknown or cannot
// be honoured are refused by name.
#include <string_view>

#include "coordinator/api/requests.h"

namespace sluice::coordinator {

enum class MessagesUse { create, count };

[[nodiscard]] ApiResult<GenerateRequest> read_messages_request(std::string_view text, const HttpHeaders& headers,
                                                               const ModelInfo& model, MessagesUse use);

/// An error that speaks of a chat's fields, in the words of this API.
[[nodiscard]] ApiError in_words_of_messages(ApiError error);

}  // namespace sluice::coordinator
