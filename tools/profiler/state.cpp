#include "tools/profiler/state.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <utility>

namespace sluice::profiler {
namespace {

using nlohmann::json;

/// "model_hash is 12.. there and 34.. here", for every field that differs.
std::string differences(const json& there, const json& here) {
  std::string out;
  for (const auto& [key, value] : here.items()) {
    const json other = there.value(key, json());
    if (other != value)
      out += fmt::format("{}{} is {} there and {} here", out.empty() ? "" : "; ", key, other.dump(), value.dump());
  }
  return out;
}

}  // namespace

State::State(State&& other) noexcept
    : file_(std::exchange(other.file_, -1)), path_(std::move(other.path_)), found_(std::move(other.found_)) {}

State& State::operator=(State&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(path_, other.path_);
  std::swap(found_, other.found_);
  return *this;
}

State::~State() {
  if (file_ >= 0) ::close(file_);
}

Result<State> State::open(const std::string& path, const json& header) {
  State s;
  s.path_ = path;
  if (path.empty()) return s;
  s.file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (s.file_ < 0) return fail(Errc::unavailable, "cannot open {}: {}", path, std::strerror(errno));
  SLUICE_TRY(s.read(path, header));
  return s;
}

Result<> State::read(const std::string& path, const json& header) {
  std::ifstream in(path, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(in), {}};
  std::size_t good = 0;
  bool first = true;
  while (good < all.size()) {
    const std::size_t end = all.find('\n', good);
    const json j = end == std::string::npos
                       ? json(json::value_t::discarded)
                       : json::parse(all.begin() + static_cast<std::ptrdiff_t>(good),
                                     all.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    const bool whole = j.is_object();
    // Only the last line can have been cut short; anything else unreadable is not ours to overwrite.
    if (!whole && end != std::string::npos && end + 1 < all.size())
      return fail(Errc::data_corrupt, "{} is not a state of a profile search", path);
    if (!whole) break;
    if (first && !(j.contains("header") && j["header"].is_object()))
      return fail(Errc::data_corrupt, "{} is not a state of a profile search", path);
    if (first) {
      if (const std::string d = differences(j["header"], header); !d.empty())
        return fail(Errc::invalid_argument,
                    "{} holds another search's measurements: {}. Name another --state, or remove it", path, d);
    } else if (!j.contains("kind") || !j["kind"].is_string() || !j.contains("id") || !j["id"].is_string() ||
               !j.contains("figures")) {
      return fail(Errc::data_corrupt, "{} is damaged: a measurement without 'kind', 'id' and 'figures'. Remove it",
                  path);
    } else {
      found_[j["kind"].get<std::string>()][j["id"].get<std::string>()] = j["figures"];
    }
    first = false;
    good = end + 1;
  }
  if (first && !all.empty()) return fail(Errc::data_corrupt, "{} is not a state of a profile search", path);
  if (::ftruncate(file_, static_cast<off_t>(good)) != 0)
    return fail(Errc::unavailable, "cannot write {}: {}", path, std::strerror(errno));
  return first ? append({{"header", header}}) : Result<>();
}

Result<> State::append(const json& line) {
  if (file_ < 0) return {};
  const std::string text = line.dump() + '\n';
  if (::write(file_, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(file_) != 0)
    return fail(Errc::unavailable, "cannot write {}: {}", path_, std::strerror(errno));
  return {};
}

const json* State::find(const std::string& kind, const std::string& id) const {
  const auto k = found_.find(kind);
  if (k == found_.end()) return nullptr;
  const auto i = k->second.find(id);
  return i == k->second.end() ? nullptr : &i->second;
}

std::size_t State::count(const std::string& kind) const {
  const auto k = found_.find(kind);
  return k == found_.end() ? 0 : k->second.size();
}

Result<> State::add(const std::string& kind, const std::string& id, json figures) {
  SLUICE_TRY(append({{"kind", kind}, {"id", id}, {"figures", figures}}));
  found_[kind][id] = std::move(figures);
  return {};
}

}  // namespace sluice::profiler
