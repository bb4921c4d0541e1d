#pragma once
// A PromptExecutor without threads: work is done when it is submitted, so that tests are deterministic.
#include <memory>
#include <utility>

#include "coordinator/api/prompt_executor.h"

namespace sluice::test {

class InlinePrompts final : public coordinator::PromptExecutor {
 public:
  void submit(coordinator::PromptJob job, std::shared_ptr<coordinator::Responder> out, Then then) override {
    auto result = job.work();
    then(std::move(result), std::move(out));
  }
};

}  // namespace sluice::test
