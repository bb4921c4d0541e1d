#include "common/file_stamp.h"

#include <sys/stat.h>

namespace sluice {

FileStamp stamp_of(const std::vector<std::string>& files) {
  FileStamp all;
  for (const std::string& file : files) {
    if (file.empty()) continue;
    struct stat s{};
    if (::stat(file.c_str(), &s) != 0) {
      all.push_back(-1);
      continue;
    }
    for (const std::int64_t v :
         {static_cast<std::int64_t>(s.st_dev), static_cast<std::int64_t>(s.st_ino),
          static_cast<std::int64_t>(s.st_size), static_cast<std::int64_t>(s.st_mode),
          static_cast<std::int64_t>(s.st_mtim.tv_sec), static_cast<std::int64_t>(s.st_mtim.tv_nsec),
          static_cast<std::int64_t>(s.st_ctim.tv_sec), static_cast<std::int64_t>(s.st_ctim.tv_nsec)})
      all.push_back(v);
  }
  return all;
}

}  // namespace sluice
