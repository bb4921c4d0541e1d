#pragma once
// What the tests of requests share: a model, and bodies that differ from a good one in a field.
#include <string>
#include <string_view>

#include "coordinator/api/requests.h"

namespace sluice::test {

inline coordinator::ModelInfo tiny() {
  coordinator::ModelInfo m;
  m.id = "tiny";
  m.aliases = {"org/tiny"};
  m.max_model_len = 100;
  m.vocab_size = 1000;
  m.defaults.temperature = 0.6;
  return m;
}

/// The base request with more fields' JSON text put in.
inline std::string with(bool chat, std::string_view extra) {
  std::string base = chat ? R"("messages":[{"role":"user","content":"hi"}])" : R"("prompt":"hi")";
  return "{" + base + (extra.empty() ? "" : ",") + std::string(extra) + "}";
}

inline coordinator::ApiResult<coordinator::GenerateRequest> parse(bool chat, const std::string& body,
                                                                  const coordinator::HttpHeaders& h = {}) {
  return chat ? coordinator::parse_chat(body, h, tiny()) : coordinator::parse_completion(body, h, tiny());
}

}  // namespace sluice::test
