#pragma once
// Where what a client's input makes long is worked on: parsing its body, rendering, tokenizing, writing a large answer.
// The coordinator's threads have heartbeats, tokens and decisions to see to, so they hand such work over and get the
// result back. A PromptDesk hands it to the PromptPool's threads; tests do it at once.
//
// Threading: submit() is called, and results are delivered, on one io_context's thread, where Responder and Backend
// belong. `work` may run on any thread: it owns what it needs, or reads what is const for good (ModelText, ModelInfo).
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "coordinator/api/prepared.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

/// What the work came to: an answer, a refusal among them, or a generation to start.
using PromptResult = std::variant<HttpResponse, PreparedGeneration>;

struct PromptJob {
  std::string client;     // clients take turns
  std::size_t bytes = 0;  // that the work holds and reads; short work does not wait behind long
  bool refusable = true;  // false for an answer's writing: what it holds is there already
  std::move_only_function<PromptResult()> work;
};

class PromptExecutor {
 public:
  using Then = std::move_only_function<void(PromptResult&&, std::shared_ptr<Responder>)>;

  virtual ~PromptExecutor() = default;
  /// Runs the work, then `then` with its result. A client that is gone by then gets neither. What cannot be taken (too
  /// much waits already, or the server ends) is answered with 429 or 503.
  virtual void submit(PromptJob job, std::shared_ptr<Responder> out, Then then) = 0;
};

}  // namespace sluice::coordinator
