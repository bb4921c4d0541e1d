#include "coordinator/api/worker_thread.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace sluice::coordinator {
namespace {

struct Start {
  WorkerThreadOptions options;
  std::function<void()> body;
};

/// On Linux a priority is a thread's, not the process's, and any thread may lower its own.
void give_way(int more) {
  if (more == 0) return;
  errno = 0;
  const auto self = static_cast<id_t>(::gettid());
  const int now = ::getpriority(PRIO_PROCESS, self);
  if (now == -1 && errno != 0) return;
  (void)::setpriority(PRIO_PROCESS, self, std::min(now + more, 19));  // without it things are slower, not wrong
}

void* run(void* argument) {
  const std::unique_ptr<Start> start(static_cast<Start*>(argument));
  (void)::pthread_setname_np(::pthread_self(), start->options.name.c_str());
  give_way(start->options.nice);
  start->body();
  return nullptr;
}

}  // namespace

WorkerThread::WorkerThread(WorkerThreadOptions options, std::function<void()> body) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, options.stack);
  auto start = std::make_unique<Start>(Start{std::move(options), std::move(body)});
  const int failed = ::pthread_create(&thread_, &attributes, run, start.get());
  ::pthread_attr_destroy(&attributes);
  if (failed != 0) throw std::system_error(failed, std::generic_category(), "cannot start a thread");
  (void)start.release();  // the thread's
}

WorkerThread::~WorkerThread() { ::pthread_join(thread_, nullptr); }

}  // namespace sluice::coordinator
