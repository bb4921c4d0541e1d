#include "common/tls/source.h"

#include <chrono>
#include <utility>

#include "common/log.h"

namespace sluice::tls {

FileStamp Source::stamp() const {
  return stamp_of({options_.files.cert, options_.files.key, options_.files.ca, options_.files.crl});
}

Result<std::shared_ptr<Source>> Source::open(ContextOptions o, std::string what) {
  std::shared_ptr<Source> s(new Source(std::move(o), std::move(what)));
  s->seen_ = s->stamp();
  auto context = Context::load(s->options_);
  if (!context) return fail(context.error().code, "certificates of the {}: {}", s->what_, context.error().message);
  s->context_ = std::move(*context);
  return s;
}

bool Source::refresh() {
  FileStamp now = stamp();
  if (now == seen_) return false;
  seen_ = std::move(now);
  auto context = Context::load(options_);
  if (!context) {
    ++failures_;
    log::error("new certificates cannot be used; the old ones stay", {{"of", what_}, {"why", context.error().message}});
    return false;
  }
  {
    const std::lock_guard lock(mutex_);
    context_ = *context;
  }
  const std::optional<Lifetime>& life = (*context)->own() ? (*context)->own() : (*context)->authority();
  const auto left = life ? life->ends - std::chrono::system_clock::now() : std::chrono::seconds(0);
  log::info("certificates renewed",
            {{"of", what_}, {"days_left", std::chrono::duration_cast<std::chrono::days>(left).count()}});
  return true;
}

}  // namespace sluice::tls
