#pragma once
// truncate_prompt_tokens: what is kept of a prompt that is longer than its client wants. Pure functions, thread-safe.
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "coordinator/api/requests.h"

namespace sluice::coordinator {

/// How many tokens of a prompt are kept: as asked, or (-1) what leaves `reserved` of the `context`. 400 where more are
/// asked for than the context has.
[[nodiscard]] ApiResult<std::size_t> tokens_kept(const PromptCut& cut, std::size_t context, std::size_t reserved);

/// The first or last `most` ids, as transformers truncates: `specials` is what the tokenizer puts around any text (of
/// an empty one: all there is); those stay, and the text gives way.
void cut_prompt(std::vector<TokenId>& ids, std::span<const TokenId> specials, std::size_t most, bool keep_first);

}  // namespace sluice::coordinator
