#include "tests/system/api.h"

#include <atomic>
#include <fstream>
#include <future>
#include <sstream>
#include <stdexcept>

#include "common/http/sse.h"

namespace sluice::test {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

http::ClientRequest to(const Cluster& c, const std::string& target, const std::string& body) {
  return {.address = c.http(),
          .method = "POST",
          .target = target,
          .headers = {{"content-type", "application/json"}},
          .body = body,
          .timeout = 120s};
}

}  // namespace

Answer post(const Cluster& c, const std::string& target, const std::string& body) {
  auto r = http::request(to(c, target, body));
  if (!r) return {.status = 0, .body = r.error().message, .headers = {}};
  json parsed = json::parse(r->body, nullptr, false);
  return {r->status, parsed.is_discarded() ? json(nullptr) : parsed, r->headers};
}

json complete(const Cluster& c, const json& request) {
  Answer a = post(c, "/v1/completions", request);
  if (a.status != 200) throw std::runtime_error("status " + std::to_string(a.status) + ": " + a.body.dump());
  return a.body;
}

std::vector<json> complete_all(const Cluster& c, const std::vector<json>& requests, int at_once) {
  std::vector<json> answers(requests.size());
  std::atomic<std::size_t> next = 0;
  std::vector<std::future<void>> clients;
  for (int i = 0; i < at_once; ++i)
    clients.push_back(std::async(std::launch::async, [&] {
      for (std::size_t k = next++; k < requests.size(); k = next++) answers[k] = complete(c, requests[k]);
    }));
  for (auto& f : clients) f.wait();
  for (auto& f : clients) f.get();
  return answers;
}

Streamed stream_completion(const Cluster& c, json request, const std::function<bool(std::size_t)>& on_chunk,
                           const std::string& id) {
  request["stream"] = true;
  request["stream_options"] = {{"include_usage", true}};
  request["sluice"]["explain"] = true;
  Streamed s;
  http::SseParser parser([&](std::string_view event) {
    if (event == "[DONE]") {
      s.done = true;
      return;
    }
    const json chunk = json::parse(event);
    if (chunk.contains("error")) s.error = chunk["error"];
    if (chunk.contains("sluice")) s.explain = chunk["sluice"];
    if (chunk.contains("usage") && chunk["usage"].is_object()) s.usage = chunk["usage"];
    for (const json& choice : chunk.value("choices", json::array())) {
      s.text += choice.value("text", "");
      if (choice["finish_reason"].is_string()) s.finish_reason = choice["finish_reason"];
    }
    ++s.chunks;
  });
  http::ClientRequest q = to(c, "/v1/completions", request.dump());
  if (!id.empty()) q.headers["x-request-id"] = id;
  auto r = http::stream(q, [&](std::string_view bytes) {
    if (!parser.push(bytes)) return false;
    return !on_chunk || on_chunk(s.chunks);
  });
  if (r) s.status = r->status;
  if (!r) s.error = r.error().message;
  return s;
}

std::vector<int> heldout_tokens(const Cluster& c) {
  std::ifstream in(Cluster::model_dir() + "/eval/heldout.txt");
  std::ostringstream text;
  text << in.rdbuf();
  const Answer a = post(c, "/tokenize", json{{"prompt", text.str()}, {"add_special_tokens", false}});
  if (a.status != 200) throw std::runtime_error("cannot tokenize the held-out text: " + a.body.dump());
  return a.body.at("tokens").get<std::vector<int>>();
}

json slice(const std::vector<int>& tokens, std::size_t first, std::size_t count) {
  if (first + count > tokens.size()) throw std::out_of_range("slice of the held-out text");
  return std::vector<int>(tokens.begin() + static_cast<std::ptrdiff_t>(first),
                          tokens.begin() + static_cast<std::ptrdiff_t>(first + count));
}

}  // namespace sluice::test
