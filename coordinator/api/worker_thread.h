#pragma once
// A thread with a stack and a priority of its own; joined when it is dropped.
// Failure: the constructor throws where the system has no thread to give (at start-up).
#include <pthread.h>

#include <functional>
#include <memory>
#include <string>

namespace sluice::coordinator {

struct WorkerThreadOptions {
  std::string name;                // at most 15 characters, as top shows it
  std::size_t stack = 16U << 20U;  // a system's default may be small, and templates recurse (jinja::Limits::max_stack)
  int nice = 0;                    // how much it gives way to the process's other threads
};

class WorkerThread {
 public:
  WorkerThread(WorkerThreadOptions options, std::function<void()> body);
  ~WorkerThread();
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

 private:
  pthread_t thread_{};
};

}  // namespace sluice::coordinator
