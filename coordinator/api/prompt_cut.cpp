#include "coordinator/api/prompt_cut.h"

#include <algorithm>
#include <iterator>

namespace sluice::coordinator {

ApiResult<std::size_t> tokens_kept(const PromptCut& cut, std::size_t context, std::size_t reserved) {
  if (*cut.tokens < 0) return context > reserved ? context - reserved : 1;
  const auto asked = static_cast<std::size_t>(*cut.tokens);
  if (asked <= context) return asked;
  return std::unexpected(ApiError::invalid(
      fmt::format("truncate_prompt_tokens ({}) is larger than the {} tokens that are served here; -1 keeps what fits.",
                  asked, context),
      "truncate_prompt_tokens", "invalid_value"));
}

void cut_prompt(std::vector<TokenId>& ids, std::span<const TokenId> specials, std::size_t most, bool keep_first) {
  if (ids.size() <= most) return;
  // Those before the text begin the prompt as they begin an empty one; the others are behind it.
  const auto before = static_cast<std::size_t>(std::ranges::mismatch(specials, ids).in1 - specials.begin());
  std::size_t head = before;
  std::size_t tail = specials.size() - before;
  if (specials.size() >= most) head = tail = 0;  // there is no room for a text beside them
  const auto drop = static_cast<std::ptrdiff_t>(ids.size() - most);
  const auto from = keep_first ? ids.end() - static_cast<std::ptrdiff_t>(tail) - drop
                               : ids.begin() + static_cast<std::ptrdiff_t>(head);
  ids.erase(from, from + drop);
}

}  // namespace sluice::coordinator
