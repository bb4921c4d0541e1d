#pragma once
// What the tests of the Responses API share: a memory, and requests read against the tiny model.
#include <string>

#include "coordinator/api/responses/request.h"
#include "tests/coordinator_api/request_bodies.h"
#include "tests/support/manual_clock.h"

namespace sluice::test {

struct ResponsesRig {
  coordinator::ApiResult<coordinator::ResponsesRequest> read(const std::string& body, const std::string& owner = "a",
                                                             const coordinator::HttpHeaders& headers = {}) {
    return coordinator::read_responses_request(body, headers, tiny(), "resp_new", owner, memory);
  }
  /// The base request with more fields' JSON text put in.
  coordinator::ApiResult<coordinator::ResponsesRequest> with(const std::string& extra) {
    return read(R"({"input":"hi",)" + extra + "}");
  }
  ManualClock clock;
  coordinator::ResponseMemory memory{{}, clock};
};

}  // namespace sluice::test
