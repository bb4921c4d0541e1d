#include "common/files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace sluice {

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  constexpr std::size_t kStep = std::size_t{1} << 20;
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Errc::not_found, "cannot open {}: {}", path.string(), std::strerror(errno));
  std::string text;
  // By pieces, since the size of what is no regular file is known only at its end.
  while (in && text.size() <= max_bytes) {
    const std::size_t have = text.size();
    text.resize(have + std::min(kStep, max_bytes + 1 - have));
    in.read(text.data() + have, static_cast<std::streamsize>(text.size() - have));
    text.resize(have + static_cast<std::size_t>(in.gcount()));
  }
  if (in.bad()) return fail(Errc::unavailable, "cannot read {}: {}", path.string(), std::strerror(errno));
  if (text.size() > max_bytes)
    return fail(Errc::invalid_argument, "{} is larger than {} bytes", path.string(), max_bytes);
  return text;
}

}  // namespace sluice
