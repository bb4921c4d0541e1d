#pragma once
// What the tests of the Messages API share: requests read against the tiny model.
#include <string>

#include "coordinator/api/messages/request.h"
#include "tests/coordinator_api/request_bodies.h"

namespace sluice::test {

inline coordinator::ApiResult<coordinator::GenerateRequest> read_messages(
    const std::string& body, coordinator::MessagesUse use = coordinator::MessagesUse::create,
    const coordinator::HttpHeaders& headers = {}) {
  return coordinator::read_messages_request(body, headers, tiny(), use);
}

/// The base request with more fields' JSON text put in.
inline coordinator::ApiResult<coordinator::GenerateRequest> messages_with(const std::string& extra) {
  return read_messages(R"({"max_tokens":9,"messages":[{"role":"user","content":"hi"}],)" + extra + "}");
}

/// ... with these messages.
inline coordinator::ApiResult<coordinator::GenerateRequest> messages_of(const std::string& messages) {
  return read_messages(R"({"max_tokens":9,"messages":)" + messages + "}");
}

}  // namespace sluice::test
