#pragma once
// What a chat's answer may be, once its prompt is known: the form that the request demands (response_format), its tool
// calls, and reasoning before either, as one grammar.
//
// - A call that is required, or to a function that is named: nothing but calls, with arguments by the tools' schemas.
// - Else, where a tool is strict, not every tool is allowed, or one call at most is: any text, but a call in it is one
// of
//   these; arguments by the schema where the tool is strict.
// - Else, where an answer's form is demanded beside tools: calls, or an answer of that form.
// - Reasoning stays free before all of these.
//
// Threading: prompt threads; a pure function. Failure: an ApiError that names the tool, and what its schema has that
// cannot be kept to.
#include "coordinator/api/requests.h"
#include "text/output/formats.h"

namespace sluice::coordinator {

/// chat: what `q` asked, with its tools. inside: the answer begins inside of reasoning.
[[nodiscard]] ApiResult<> bind_chat(const ChatPrompt& chat, const text::output::OutputFormats& formats, bool inside,
                                    GenerateRequest& q);

}  // namespace sluice::coordinator
