#pragma once
// One generate request from its legs' start to its answer: gathers the choices' events, has their text told apart, and
// hands it to the request's AnswerShape, which writes either one object or a stream of events.
//
// Lifecycle: begin() starts one leg per choice; each leg's sink keeps the Generation alive; it answers when the last
// leg ends, or at the first error (the other legs are cancelled). Threading: the io_context thread; a large whole
// answer is written by the executor.
// A stream's status line waits for the first token or the first end, so that a refusal (429, 503) is a real status;
// but no longer than the server lets a stream be silent (Responder::keep_alive): then it is 200, and a refusal an
// event.
#include <memory>
#include <vector>

#include "coordinator/api/answer_shape.h"
#include "coordinator/api/backend.h"
#include "coordinator/api/prepared.h"
#include "coordinator/api/prompt_executor.h"
#include "coordinator/api/request_trace.h"
#include "coordinator/api/token_stream.h"
#include "coordinator/http/types.h"
#include "coordinator/tenants/tenants.h"

namespace sluice::coordinator {

class Generation : public std::enable_shared_from_this<Generation> {
 public:
  struct Spec {
    PreparedGeneration prepared;
    std::string client;  // as PromptJob has it
    std::string request_id;
    TimePoint received;
    std::shared_ptr<RequestTrace> trace = {};    // null: not traced
    std::shared_ptr<Tenants::Lease> lease = {};  // of the tenant's budgets; null: nobody counts
  };

  Generation(Backend& backend, PromptExecutor& executor, Spec spec, std::shared_ptr<Responder> out);
  ~Generation();
  void begin();

 private:
  class Sink;
  struct Choice {
    RequestId leg;
    std::unique_ptr<TokenStream> stream;
    std::unique_ptr<text::output::OutputParser> parser;  // null: all is content
    text::output::Output output;                         // of the whole answer; a stream keeps none
    std::vector<TokenEvent> tokens;                      // of it, where log-probabilities were asked for
    std::vector<TokenId> ids;                            // of it, where these were asked for
    std::string fingerprint;                             // from its first token on
    LegStats stats;
    bool ended = false;
  };

  void start_leg(std::size_t index);
  void on_begin(std::size_t index, const std::string& fingerprint);
  void on_tokens(std::size_t index, std::span<const TokenEvent> tokens);
  void on_prompt_logprobs(std::size_t index, std::size_t first, std::span<const RatedToken> tokens);
  void on_finish(std::size_t index, LegEnd end, const LegStats& stats);
  void on_error(const Error& error, std::optional<Duration> retry_after);
  /// What was written, told apart, and the tokens that log-probabilities are wanted of.
  [[nodiscard]] ChoiceDelta read(Choice& choice, TokenStream::Delta delta, bool last) const;
  void take(std::size_t index, ChoiceDelta delta);
  void cancel_all(CancelReason why);
  /// Tells the tenant's account what was used.
  void settle();

  void open_stream();
  /// The choices' first words, before anything else of them.
  void greet();
  void send_last(std::size_t index, ChoiceDelta delta);
  void answer_whole();

  [[nodiscard]] const GenerateRequest& request() const { return spec_.prepared.request; }
  [[nodiscard]] const PreparedGeneration::Prompt& prompt_of(std::size_t choice) const {
    return spec_.prepared.prompts[choice / static_cast<std::size_t>(request().n)];
  }
  [[nodiscard]] ChoiceEnd end_of(const Choice& choice) const;
  [[nodiscard]] std::string fingerprint_of_all() const;
  [[nodiscard]] AnswerState state(std::string_view fingerprint) const;
  /// The client wants nothing said: the one token that a leg draws is left out.
  [[nodiscard]] bool silent() const { return request().max_tokens == 0; }
  [[nodiscard]] Usage usage() const;
  [[nodiscard]] nlohmann::json explain() const;
  /// All legs have ended well.
  void tell_trace() const;

  Backend& backend_;
  PromptExecutor& executor_;
  Spec spec_;
  std::unique_ptr<AnswerShape> shape_;  // gone once a whole answer is written
  std::shared_ptr<Responder> out_;
  std::shared_ptr<StreamWriter> writer_;
  std::vector<Choice> choices_;
  std::vector<std::shared_ptr<RatedPrompt>> rated_;  // one a prompt, from its first choice's leg; empty: not asked for
  bool seeded_ = false;                              // by the client
  bool greeted_ = false;
  std::size_t running_ = 0;
  bool over_ = false;  // answered or given up
};

}  // namespace sluice::coordinator
