#pragma once
// What every daemon tells of its own process, under the names that Prometheus' client libraries use: CPU seconds,
// memory, file descriptors, start time; and which build it is.
// Read from /proc/self at each exposition (some ten microseconds, and one more per hundred open descriptors).
// Threading: as Metrics. Failure: what cannot be read keeps its last value.
#include <string>

#include "common/metrics.h"

namespace sluice {

/// Call once, when the metrics are made. role: coordinator, prefill or decode.
void export_process(Metrics& metrics, const std::string& role);

}  // namespace sluice
