#pragma once
// A chat whose last message the model goes on with: the prompt ends in that message's text, not in a new turn.
//
// Templates close every message, so the prompt is cut behind the text. Where that is, a mark tells: it is put behind
// the message's text before rendering, and the prompt ends where it comes out. This is transformers' way
// (apply_chat_template with continue_final_message), and so is the mark's name, which some templates know.
// Pure functions; thread-safe. Failure: invalid_argument with param "continue_final_message".
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/result.h"
#include "text/jinja/typed_specials.h"

namespace sluice::text {

/// `messages`: an array of objects that is not empty. The last one's content is a string, or a list with a text part.
/// The text that is to be continued.
[[nodiscard]] Result<std::string> mark_final_message(nlohmann::ordered_json& messages);

/// Cuts what was rendered from marked messages. A template that trims messages had the last one's end trimmed, too; one
/// that rewrites the text in it is refused.
[[nodiscard]] Result<> cut_at_mark(RenderedChat& chat, std::string_view text);

}  // namespace sluice::text
