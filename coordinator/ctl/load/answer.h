#pragma once
// One request of a load test: the body that goes out, and what is read off the answer as its events come. Servers
// differ in small ways (usage or none, an opening chunk with a role and no text): this is where that is dealt with.
// Threading: none; one AnswerReader, one answer. Pure: times are given.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "coordinator/ctl/load/options.h"
#include "coordinator/ctl/load/prompt.h"
#include "coordinator/ctl/load/stats.h"

namespace sluice::ctl::load {

/// What every request of a test has in common.
struct BodyRules {
  std::string model;
  bool chat = false;
  bool usage = true;     // ask for it
  bool explain = false;  // Sluice: say what was decided
  bool ignore_eos = true;
  nlohmann::json extra;  // an object: merged over the body, null takes a field away
  std::string profile, mode;
};

/// What was said before in a conversation, and answered.
struct Said {
  std::string question, answer;
};

[[nodiscard]] std::string body_of(const BodyRules& rules, const Turn& turn, const std::vector<Said>& before);

/// Fills a RequestResult. Times are in ms after the request's start.
class AnswerReader {
 public:
  /// keep_text: the next turn needs the answer.
  AnswerReader(RequestResult& result, bool keep_text) : result_(result), keep_text_(keep_text) {}
  /// The data of one event. Nothing after [DONE] counts.
  void event(std::string_view data, double at_ms);
  /// The stream ended as HTTP has it.
  void end();
  /// Of a 2xx answer or any other; `message` in words.
  void failed(std::string kind, std::string message);

  [[nodiscard]] bool broken() const { return !result_.error.empty(); }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void choice(const nlohmann::json& c, double at_ms);
  void explained(const nlohmann::json& said);

  RequestResult& result_;
  bool keep_text_;
  bool done_ = false;
  bool first_ = true;
  std::uint64_t with_text_ = 0;  // chunks: what tokens are counted by without a usage
  double last_ms_ = 0;
  std::string text_;
};

}  // namespace sluice::ctl::load
