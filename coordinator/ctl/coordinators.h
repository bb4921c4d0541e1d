#pragma once
// Several coordinators of one cluster, of which any will do: which of them a command speaks to.
// Threading: calls are independent. Failure: invalid_argument (no URLs), unavailable with what each of them said.
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/ctl/api.h"

namespace sluice::ctl {

/// "URL[,URL...]"; each is checked as address_of_url() does.
[[nodiscard]] Result<std::vector<std::string>> split_urls(std::string_view text);

/// The first that is ready, else the first that answers at all. Where there is only one it is not asked: its first
/// request will tell.
[[nodiscard]] Result<std::size_t> first_answering(const std::vector<Endpoint>& coordinators);

}  // namespace sluice::ctl
