#include "kvstore/tier/object_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace sluice::kvstore {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = std::size_t{1} << 20U;  // between two looks at the clock
constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;
constexpr int kToRead = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;  // a pipe in a file's place is not waited for

template <class... A>
std::unexpected<Error> fail_errno(int number, fmt::format_string<A...> f, A&&... args) {
  const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  const Errc code = full ? Errc::resource_exhausted : number == ENOENT ? Errc::not_found : Errc::unavailable;
  return fail(code, "{}: {}", fmt::format(f, std::forward<A>(args)...), std::strerror(number));
}

std::string folder_name(int first_byte) { return fmt::format("{:02x}", first_byte); }

Result<> make_folder(const fs::path& path) {
  if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST)
    return fail_errno(errno, "cannot make the folder {}", path.string());
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0 || !S_ISDIR(s.st_mode))
    return fail(Errc::invalid_argument, "{} is no folder", path.string());
  return {};
}

/// Calls fn on the path of each entry. A range-for would throw where reading the folder fails midway.
template <class F>
Result<> each_entry(const fs::path& folder, F&& fn) {
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) fn(it->path());
  if (ec) return fail(Errc::unavailable, "cannot read {}: {}", folder.string(), ec.message());
  return {};
}

std::optional<ObjectKey> key_from(const std::string& file) {
  const auto name = prefix::name_from_hex(file);  // as a name is written
  if (!name) return std::nullopt;
  return ObjectKey{name->bytes};
}

/// Of one file: what it says of itself, if its size is that.
Checked<ObjectFolder::Found> look_at(const fs::path& path, const ObjectKey& key, const ObjectKeys& keys) {
  const FileHandle file(::open(path.c_str(), kToRead));
  std::array<std::byte, kHeadBytes> head;
  struct stat s{};
  if (!file || ::fstat(file.get(), &s) != 0 || !S_ISREG(s.st_mode))
    return std::unexpected(Refused{Refusal::head, "it cannot be read"});
  const ssize_t n = ::pread(file.get(), head.data(), head.size(), 0);
  const auto parsed = parse_head(std::span(head).first(static_cast<std::size_t>(std::max<ssize_t>(n, 0))));
  if (!parsed) return std::unexpected(parsed.error());
  if (parsed->total_bytes != static_cast<std::uint64_t>(s.st_size))
    return std::unexpected(Refused{Refusal::length, "its size is not what it says"});
  if (keys.key_of(parsed->head.address) != key)
    return std::unexpected(Refused{Refusal::address, "it is another object than its name says"});
  return ObjectFolder::Found{key, parsed->facts(), {s.st_mtim.tv_sec, s.st_mtim.tv_nsec}};
}

}  // namespace

FileHandle::~FileHandle() {
  if (fd_ >= 0) ::close(fd_);
}

Result<ObjectFolder> ObjectFolder::open(const fs::path& root) {
  SLUICE_TRY(make_folder(root));
  FileHandle lock(::open((root / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kOwnerOnly));
  if (!lock) return fail_errno(errno, "cannot write to {}", root.string());
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(Errc::already_exists, "another process keeps its KV in {}: give each one a folder of its own",
                root.string());
  SLUICE_TRY(make_folder(root / "objects"));
  for (int i = 0; i < 256; ++i) SLUICE_TRY(make_folder(root / "objects" / folder_name(i)));
  SLUICE_TRY(make_folder(root / "new"));
  SLUICE_TRY(each_entry(root / "new", [](const fs::path& left) { discard(left); }));
  return ObjectFolder(root, std::move(lock));
}

Result<ObjectFolder::Scan> ObjectFolder::scan(const ObjectKeys& keys) const {
  Scan out;
  const auto look = [&](const fs::path& path) {
    const auto key = key_from(path.filename().string());
    if (!key || path != path_of(*key)) return;  // nobody's business here
    if (auto found = look_at(path, *key, keys)) {
      out.found.push_back(*found);
    } else {
      ++out.refused[static_cast<std::size_t>(found.error().why)];
      discard(path);
    }
  };
  for (int i = 0; i < 256; ++i) SLUICE_TRY(each_entry(root_ / "objects" / folder_name(i), look));
  std::ranges::sort(out.found, {}, &Found::used);
  return out;
}

fs::path ObjectFolder::new_path(std::uint64_t number) const { return root_ / "new" / std::to_string(number); }

fs::path ObjectFolder::path_of(const ObjectKey& key) const {
  return root_ / "objects" / folder_name(key.bytes[0]) / to_hex(key);
}

Result<FileHandle> ObjectFolder::create(const fs::path& path) const {
  FileHandle file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kOwnerOnly));
  if (!file) return fail_errno(errno, "cannot make {}", path.string());
  return file;
}

Result<> ObjectFolder::publish(const fs::path& from, const ObjectKey& key) const {
  if (::rename(from.c_str(), path_of(key).c_str()) != 0)
    return fail_errno(errno, "cannot put object {} in its place", to_hex(key));
  return {};
}

Result<FileHandle> ObjectFolder::open_object(const ObjectKey& key) const {
  FileHandle file(::open(path_of(key).c_str(), kToRead));
  if (!file) return fail_errno(errno, "cannot open object {}", to_hex(key));
  return file;
}

bool ObjectFolder::remove(const ObjectKey& key) const noexcept { return ::unlink(path_of(key).c_str()) == 0; }
void ObjectFolder::discard(const fs::path& path) noexcept { (void)::unlink(path.c_str()); }

Result<> write_all(int fd, std::span<const std::byte> bytes, TimePoint deadline) {
  while (!bytes.empty()) {
    if (std::chrono::steady_clock::now() >= deadline) return fail(Errc::deadline_exceeded, "the disk took too long");
    const ssize_t n = ::write(fd, bytes.data(), std::min(bytes.size(), kPiece));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "cannot write an object");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<std::vector<std::byte>> read_whole(int fd, std::size_t bytes, TimePoint deadline) {
  struct stat s{};
  if (::fstat(fd, &s) != 0) return fail_errno(errno, "cannot read an object");
  if (static_cast<std::uint64_t>(s.st_size) != bytes)
    return fail(Errc::data_corrupt, "a file of {} bytes, {} were written", s.st_size, bytes);
  std::vector<std::byte> out(bytes);
  for (std::size_t at = 0; at < bytes;) {
    if (std::chrono::steady_clock::now() >= deadline) return fail(Errc::deadline_exceeded, "the disk took too long");
    const ssize_t n = ::read(fd, out.data() + at, std::min(bytes - at, kPiece));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "cannot read an object");
    if (n == 0) return fail(Errc::data_corrupt, "a file ends after {} of {} bytes", at, bytes);
    at += static_cast<std::size_t>(n);
  }
  return out;
}

void mark_used(int fd) noexcept {
  // UTIME_NOW is as coarse as the system's tick: files used in one would have no order.
  timespec times[2] = {{0, UTIME_OMIT}, {}};
  ::clock_gettime(CLOCK_REALTIME, &times[1]);
  (void)::futimens(fd, times);  // where it fails, the order after a restart is a little older
}

}  // namespace sluice::kvstore
