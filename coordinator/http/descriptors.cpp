#include "coordinator/http/descriptors.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "common/log.h"

namespace sluice::coordinator {

std::uint64_t raise_descriptor_limit(std::uint64_t need) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need) return limit.rlim_cur;
  const auto before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    log::warn("the limit of file descriptors stays", {{"soft", before}, {"need", need}, {"why", std::strerror(errno)}});
    return before;
  }
  if (limit.rlim_cur < need)
    log::warn("too few file descriptors for --max-connections; raise the hard limit (ulimit -Hn, LimitNOFILE=)",
              {{"need", need}, {"hard", limit.rlim_max}});
  return limit.rlim_cur;
}

}  // namespace sluice::coordinator
