#pragma once
// How the system tests talk to a cluster: completions, streams, and prompts of the held-out text.
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/cluster.h"

namespace sluice::test {

/// An answer as it came, whatever its status; `body` is null when it is not JSON.
struct Answer {
  int status = 0;  // 0: no answer
  nlohmann::json body;
  std::map<std::string, std::string> headers;
};
[[nodiscard]] Answer post(const Cluster& c, const std::string& target, const std::string& body);
[[nodiscard]] inline Answer post(const Cluster& c, const std::string& target, const nlohmann::json& body) {
  return post(c, target, body.dump());
}

/// A 200 answer to /v1/completions; throws on anything else.
[[nodiscard]] nlohmann::json complete(const Cluster& c, const nlohmann::json& request);
/// Several at once, answers in the order of the requests.
[[nodiscard]] std::vector<nlohmann::json> complete_all(const Cluster& c, const std::vector<nlohmann::json>& requests,
                                                       int at_once);

struct Streamed {
  int status = 0;
  std::string text;
  std::string finish_reason;
  nlohmann::json explain, usage;
  nlohmann::json error;
  bool done = false;  // data: [DONE] was seen
  std::size_t chunks = 0;
};
/// Streams a completion to its end; on_chunk is told the count of chunks so far and may return false to hang up. id:
/// its x-request-id.
[[nodiscard]] Streamed stream_completion(const Cluster& c, nlohmann::json request,
                                         const std::function<bool(std::size_t)>& on_chunk = {},
                                         const std::string& id = {});

/// Tokens of models/sluice-tiny/eval/heldout.txt.
[[nodiscard]] std::vector<int> heldout_tokens(const Cluster& c);
/// `count` of them from `first` on.
[[nodiscard]] nlohmann::json slice(const std::vector<int>& tokens, std::size_t first, std::size_t count);

}  // namespace sluice::test
