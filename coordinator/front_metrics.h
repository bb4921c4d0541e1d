#pragma once
// The figures of the front door: what the HTTP server and the prompt pool count, as metrics. Read at each exposition.
// Threading: the io_context's thread, where /metrics is answered. Lifetime: all three outlive the last exposition.
#include "common/metrics.h"
#include "coordinator/api/prompt_pool.h"
#include "coordinator/http/server.h"

namespace sluice::coordinator {

void export_front(Metrics& metrics, const HttpServer& server, const PromptPool& prompts);

}  // namespace sluice::coordinator
