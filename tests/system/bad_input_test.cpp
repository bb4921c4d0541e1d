// What a cluster must shrug off: bad requests, byte storms on its ports, strangers that want to join.
#include <catch2/catch.hpp>
#include <fstream>
#include <random>

#include "tests/support/poll_until.h"
#include "tests/support/raw_client.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

std::uint16_t port_of(const std::string& address) {
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

struct Case {
  const char* what;
  const char* target;
  std::string body;
  int status;
  const char* code;   // "" for any
  const char* param;  // "" for any
};

const char* const kText = "/v1/completions";
const char* const kChat = "/v1/chat/completions";

std::string numbers(std::size_t n) { return json(std::vector<int>(n, 17)).dump(); }

const std::vector<Case>& bad_requests() {
  static const std::vector<Case> cases{
      {"prompt as long as the context", kText, R"({"prompt":)" + numbers(4096) + "}", 400, "context_length_exceeded",
       "prompt"},
      {"prompt longer than the context", kText, R"({"prompt":)" + numbers(20000) + "}", 400, "context_length_exceeded",
       "prompt"},
      {"prompt and output longer than it", kText, R"({"prompt":)" + numbers(4000) + R"(,"max_tokens":97})", 400,
       "context_length_exceeded", "max_tokens"},
      {"no messages", kChat, R"({"messages":[]})", 400, "", "messages"},
      {"empty prompt list", kText, R"({"prompt":[]})", 400, "", "prompt"},
      {"max_tokens 0 in a chat", kChat, R"({"messages":[{"role":"user","content":"a"}],"max_tokens":0})", 400, "",
       "max_tokens"},
      {"max_tokens negative", kChat, R"({"messages":[{"role":"user","content":"a"}],"max_tokens":-5})", 400, "",
       "max_tokens"},
      {"max_tokens huge", kText, R"({"prompt":"a","max_tokens":99999999999999})", 400, "", "max_tokens"},
      {"max_tokens beyond any integer", kText, R"({"prompt":"a","max_tokens":1e300})", 400, "", "max_tokens"},
      {"temperature NaN", kText, R"({"prompt":"a","temperature":NaN})", 400, "invalid_json", ""},
      {"temperature infinite", kText, R"({"prompt":"a","temperature":1e999})", 400, "invalid_json", ""},
      {"temperature as text", kText, R"({"prompt":"a","temperature":"NaN"})", 400, "invalid_type", "temperature"},
      {"body over the limit", kText, R"({"prompt":")" + std::string(3U << 20, 'a') + "\"}", 413, "body_too_large", ""},
      {"invalid JSON", kChat, R"({"messages":[)", 400, "invalid_json", ""},
      {"deep JSON", kText, std::string(100000, '['), 400, "invalid_json", ""},
      {"invalid UTF-8", kText, "{\"prompt\":\"\xff\xfe\xc3\"}", 400, "invalid_json", ""},
      {"unknown model", kChat, R"({"model":"none","messages":[{"role":"user","content":"a"}]})", 404, "model_not_found",
       "model"},
      {"unknown profile", kText, R"({"prompt":"two tokens","sluice":{"profile":"nope"}})", 404, "", "sluice.profile"},
      {"impossible quality", kText, R"({"prompt":"two tokens","sluice":{"quality_budget":-1}})", 400, "",
       "sluice.quality_budget"},
      {"token outside the vocabulary", kText, R"({"prompt":[5,99999999]})", 400, "", "prompt"},
      {"token below the vocabulary", kText, R"({"prompt":[-1]})", 400, "", "prompt"},
  };
  return cases;
}

/// A cluster is well when it answers over the data plane.
void check_well(const Cluster& c) {
  const json a = complete(
      c,
      {{"prompt", "The house of the king"}, {"max_tokens", 8}, {"ignore_eos", true}, {"sluice", {{"mode", "split"}}}});
  CHECK(a["usage"]["completion_tokens"] == 8);
}

std::vector<std::string> storms() {
  std::vector<std::string> out{"GET / HTTP/1.1\r\nhost: x\r\n\r\n", std::string(1, '\0'), std::string(70000, '\0'),
                               std::string(70000, '\xff'), "\x10\x00\x00\x00 not CBOR at all"};
  std::mt19937 rng(5);
  for (const std::size_t n : {7U, 300U, 65536U}) {
    std::string noise(n, '\0');
    for (char& b : noise) b = static_cast<char>(rng());
    out.push_back(std::move(noise));
  }
  return out;
}

/// A copy of the bundled model with one bit of its weights changed.
std::string other_model(const std::filesystem::path& dir) {
  const auto to = dir / "sluice-tiny";
  std::filesystem::copy(Cluster::model_dir(), to, std::filesystem::copy_options::recursive);
  std::fstream weights(to / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  weights.seekg(-101, std::ios::end);
  const char b = static_cast<char>(weights.get());
  weights.seekp(-101, std::ios::end);
  weights.put(static_cast<char>(b ^ 1));
  return to.string();
}

}  // namespace

TEST_CASE("bad requests are answered in words, and the cluster goes on", "[system]") {
  const Cluster c({.coordinator_flags = {"--max-body-bytes", "2097152"}});
  for (const Case& k : bad_requests()) {
    const Answer a = post(c, k.target, k.body);
    CAPTURE(k.what, a.body.dump());
    CHECK(a.status == k.status);
    if (!a.body.is_object() || !a.body.contains("error")) {
      CHECK(a.body.contains("error"));
      continue;
    }
    const json& e = a.body["error"];
    CHECK_FALSE(e["message"].get<std::string>().empty());
    if (*k.code != '\0') CHECK(e["code"] == k.code);
    if (*k.param != '\0') CHECK(e["param"] == k.param);
  }

  std::string flood = "GET /v1/models HTTP/1.1\r\nhost: x\r\n";
  for (int i = 0; i < 5000; ++i) flood += "x-flood-" + std::to_string(i) + ": " + std::string(20, 'y') + "\r\n";
  RawClient client(port_of(c.http()));
  client.send(flood + "\r\n");
  CHECK(client.read_until("\r\n").starts_with("HTTP/1.1 431"));

  check_well(c);
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}

TEST_CASE("byte storms on the data and control ports hurt nobody", "[system]") {
  const Cluster c({.prefills = 1, .decodes = 1});
  const auto text = heldout_tokens(c);
  const json d0 = c.node("d0");
  const json p0 = c.node("p0");
  const std::uint16_t ports[] = {port_of(d0.at("data_address")), port_of(c.control())};
  const json request{{"prompt", slice(text, 0, 300)}, {"max_tokens", 2000}, {"ignore_eos", true}, {"temperature", 0}};
  const Streamed quiet = stream_completion(c, request);
  REQUIRE(quiet.done);

  std::vector<std::unique_ptr<RawClient>> silent;  // connect, say nothing, stay
  bool sent = false;
  const Streamed stormy = stream_completion(c, request, [&](std::size_t chunks) {
    if (chunks < 3 || std::exchange(sent, true)) return true;
    for (const std::uint16_t port : ports) {
      for (int i = 0; i < 10; ++i) silent.push_back(std::make_unique<RawClient>(port));
      for (const std::string& bytes : storms()) {
        RawClient closing(port);
        closing.send(bytes);
        RawClient resetting(port);
        resetting.send(bytes);
        resetting.reset();
      }
    }
    return true;
  });
  CAPTURE(stormy.error.dump());
  REQUIRE(stormy.done);
  const bool same = stormy.text == quiet.text;
  CHECK(same);
  for (int i = 0; i < 5; ++i) check_well(c);
  CHECK(c.node("d0").at("incarnation") == d0.at("incarnation"));
  CHECK(c.node("p0").at("incarnation") == p0.at("incarnation"));
  CHECK(c.metric("coordinator", "sluice_resumes_total") == 0);
}

TEST_CASE("a node with other weights is refused by name and ends", "[system]") {
  const Cluster c({.prefills = 1, .decodes = 1});
  const std::string model = other_model(c.dir());
  for (const char* program : {"/sluice-decode", "/sluice-prefill"}) {
    const std::string log = (c.dir() / "stranger.log").string();
    Process stranger(std::string(SLUICE_BIN_DIR) + program,
                     {"--name", "stranger", "--coordinator", c.control(), "--model", model, "--threads", "1",
                      "--kv-memory-mib", "16"},
                     log);
    CHECK(stranger.wait(30s) == 1);
    const std::string said = c.log("stranger");
    CAPTURE(program, said);
    CHECK(said.find("refuses this node") != std::string::npos);
    CHECK(said.find("serves model hash") != std::string::npos);
    std::filesystem::remove(log);
  }
  CHECK(c.node("stranger").is_null());
  check_well(c);
}
