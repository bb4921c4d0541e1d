// A stream's chunks are put together from a template; their bytes are held against chunks that are rendered as JSON.
#include "coordinator/api/chunk_template.h"

#include <catch2/catch.hpp>
#include <random>

#include "coordinator/api/chat_shape.h"
#include "coordinator/api/completion_shape.h"
#include "coordinator/http/types.h"
#include "tests/support/fake_model_text.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;

std::string as_json(std::string_view text) {
  const std::string quoted = dump(json(text));
  return quoted.substr(1, quoted.size() - 2);
}

std::string as_template(std::string_view text) {
  std::string out;
  append_json_text(out, text);
  return out;
}

struct Wish {
  bool chat = false, include_usage = false, continuous_usage = false, ids = false, logprobs = false;
};

/// What a chunk is, field by field.
std::string rendered(const Wish& w, const AnswerHead& head, json choice, const AnswerState& now) {
  AnswerHead h = head;
  h.fingerprint = now.fingerprint;
  json chunk = chunk_object(h);
  chunk["choices"].push_back(std::move(choice));
  if (w.include_usage) chunk["usage"] = w.continuous_usage ? usage_json(now.usage) : json(nullptr);
  return sse(chunk);
}

std::string rendered(const Wish& w, const AnswerHead& head, std::size_t choice, const std::string& text,
                     const AnswerState& now) {
  json c = chunk_choice_json(w.chat, choice, text, nullptr, {}, nullptr);
  if (w.ids) c["token_ids"] = {7};
  if (w.logprobs) {
    const FakeModelText words;
    LogprobsWriter writer(words, w.chat, 0);
    writer.add(TokenEvent{.id = 'a', .stop = false, .logprob = -1, .top = {}});
    c["logprobs"] = writer.take();
  }
  return rendered(w, head, std::move(c), now);
}

ChoiceDelta delta_of(const Wish& w, const std::string& text) {
  ChoiceDelta d;
  d.output.content = text;
  if (w.ids) d.ids = {7};
  if (w.logprobs) d.tokens = {TokenEvent{.id = 'a', .stop = false, .logprob = -1, .top = {}}};
  return d;
}

const std::string kTexts[] = {
    "a",    " the",     "@", "\"quoted\" \\ and \n\t\b\f\r\x01\x1f\x7f", "gr\xC3\xBC\xC3\x9F", "\xF0\x9F\x98\x80",
    "\xC3", "</script>"};

}  // namespace

TEST_CASE("text stands in JSON as the JSON library writes it") {
  for (int c = 0; c < 256; ++c)
    CHECK(as_template(std::string(3, static_cast<char>(c))) == as_json(std::string(3, static_cast<char>(c))));
  std::mt19937_64 random(5);
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (std::uint64_t n = random() % 12; n > 0; --n) {
      const auto kind = random() % 4;
      if (kind == 0) text += static_cast<char>(random() % 0x28);
      if (kind == 1) text += static_cast<char>(0x80 + random() % 0x80);  // mostly no UTF-8
      if (kind == 2) text += kTexts[random() % std::size(kTexts)];
      if (kind == 3) text += static_cast<char>('a' + random() % 26);
    }
    if (as_template(text) != as_json(text)) FAIL(as_template(text) << " is not " << as_json(text));
  }
}

TEST_CASE("chunks of every shape are as rendered") {
  const FakeModelText words;
  for (int bits = 0; bits < 32; ++bits) {
    const Wish w{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0};
    INFO("chat " << w.chat << ", usage " << w.include_usage << w.continuous_usage << ", ids " << w.ids << ", logprobs "
                 << w.logprobs);
    GenerateRequest q;
    q.stream = true;
    q.n = 3;
    q.include_usage = w.include_usage;
    q.continuous_usage = w.continuous_usage;
    q.return_token_ids = w.ids;
    // Names as a client may choose them: they hold what marks the text, and what JSON escapes.
    const AnswerHead head{w.chat ? "chatcmpl-@\"x" : "cmpl-@", 1234, "a@b\\model", w.chat};
    for (const std::string& text : kTexts) {
      if (w.logprobs) q.sampling.logprobs = 0;
      std::unique_ptr<AnswerShape> shape;
      if (w.chat)
        shape = std::make_unique<ChatShape>(head, q, words, text::output::ToolFormat::none);
      else
        shape = std::make_unique<CompletionShape>(head, q, words);
      std::size_t tokens = 0;
      // The fingerprint is learned on the way; choices come in any order.
      for (const char* fingerprint : {"", "fp_1", "fp_1", "fp_2"})
        for (const std::size_t choice : {2U, 0U, 2U}) {
          if (w.logprobs && !w.chat && tokens >= 1) break;  // text_offset goes on from chunk to chunk
          const AnswerState now{fingerprint, {5, ++tokens, 0}, {}};
          CHECK(shape->delta(choice, delta_of(w, text), now) == rendered(w, head, choice, text, now));
        }
      const AnswerState now{"fp_2", {5, tokens, 0}, {}};
      if (w.chat && !w.ids) CHECK(shape->open(1, {}, now) == rendered(w, head, role_choice_json(1), now));
      ChoiceDelta rest;
      rest.output.content = text;
      CHECK(shape->end(1, std::move(rest), {FinishReason::length, 0, nullptr}, true, now) ==
            rendered(w, head, chunk_choice_json(w.chat, 1, text, nullptr, "length", nullptr), now));
    }
  }
}

TEST_CASE("a chunk without text is none") {
  const FakeModelText words;
  GenerateRequest q;
  q.stream = true;
  ChatShape chat({"chatcmpl-1", 1, "m", true}, q, words, text::output::ToolFormat::none);
  CompletionShape completion({"cmpl-1", 1, "m", false}, q, words);
  CHECK(chat.delta(0, {}, {}).empty());
  CHECK(completion.delta(0, {}, {}).empty());
}

}  // namespace sluice::test
