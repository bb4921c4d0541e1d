#include "coordinator/ctl/coordinators.h"

#include <optional>

#include "coordinator/ctl/state.h"

namespace sluice::ctl {
namespace {

constexpr std::size_t kMost = 64;
constexpr std::chrono::seconds kPatience{2};  // with one that does not answer

}  // namespace

Result<std::vector<std::string>> split_urls(std::string_view text) {
  std::vector<std::string> urls;
  for (std::size_t at = 0; at != std::string_view::npos;) {
    const std::size_t comma = text.find(',', at);
    urls.emplace_back(text.substr(at, comma == std::string_view::npos ? comma : comma - at));
    SLUICE_TRY(address_of_url(urls.back()));
    if (urls.size() > kMost) return fail_param("url", "more than {} coordinators", kMost);
    at = comma == std::string_view::npos ? comma : comma + 1;
  }
  return urls;
}

Result<std::size_t> first_answering(const std::vector<Endpoint>& coordinators) {
  if (coordinators.size() == 1) return 0;
  std::optional<std::size_t> unready;
  std::string said;
  for (std::size_t i = 0; i < coordinators.size(); ++i) {
    http::ClientRequest q;
    q.address = coordinators[i].address;
    q.target = "/readyz";
    q.timeout = q.total = kPatience;
    q.tls = coordinators[i].tls;
    const auto r = http::request(q);
    if (r && r->status == 200) return i;
    if (r && !unready) unready = i;
    if (!r) said += (said.empty() ? "" : "; ") + r.error().message;
  }
  if (unready) return *unready;
  return fail(Errc::unavailable, "none of {} coordinators answers: {}", coordinators.size(), said);
}

}  // namespace sluice::ctl
