#pragma once
// Where a front thread hands work to the prompt pool, and where the results arrive. It alone touches the Responder and
// what waits for the result.
//
// Lifecycle: until close(), which answers those that wait with 503; the destructor closes. A result that comes later is
// nobody's. Threading: the io_context's thread, or the one that is left when nobody runs it. Lifetime: the pool
// outlives the desk; the io_context outlives the pool's threads.
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>

#include "coordinator/api/prompt_pool.h"

namespace sluice::coordinator {

class PromptDesk final : public PromptExecutor {
 public:
  PromptDesk(boost::asio::io_context& io, PromptPool& pool);
  ~PromptDesk() override;
  PromptDesk(const PromptDesk&) = delete;
  PromptDesk& operator=(const PromptDesk&) = delete;

  void submit(PromptJob job, std::shared_ptr<Responder> out, Then then) override;
  void close();

 private:
  struct Waiting;

  boost::asio::io_context& io_;
  PromptPool& pool_;
  std::shared_ptr<Waiting> waiting_;  // results on their way hold it weakly
  std::uint64_t last_ = 0;
};

}  // namespace sluice::coordinator
