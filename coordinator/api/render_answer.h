#pragma once
// What the render routes answer: prompts as the model would read them, as text and as token ids, and the sampling
// settled for them. The shape is vLLM's (a request for its token-level API, or a list of them), with the text beside.
// Pure; thread-safe.
#include <string>

#include "coordinator/api/backend.h"
#include "coordinator/api/prepared.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

/// Of a chat one object, of a completion a list. Prompts hold their text in `echo`.
[[nodiscard]] HttpResponse render_answer(const PreparedGeneration& prepared, const std::string& request_id,
                                         const ModelInfo& model);

}  // namespace sluice::coordinator
