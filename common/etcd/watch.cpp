#include "common/etcd/watch.h"

#include <algorithm>

namespace sluice::etcd {

Watch::Watch(boost::asio::io_context& io, Client& client, KeyRange range, Handlers handlers)
    : client_(client), range_(std::move(range)), handlers_(std::move(handlers)), timer_(io) {}

void Watch::stop() {
  stopped_ = true;
  ++life_;
  timer_.cancel();
  if (stream_) stream_->cancel();
  stream_ = nullptr;
}

void Watch::after(std::chrono::milliseconds wait, void (Watch::*next)()) {
  timer_.expires_after(wait);
  // A timer that has run out already cannot be cancelled: its turn may come after that of what replaced it, or of us.
  timer_.async_wait([this, next, life = life_, alive = std::weak_ptr(alive_)](boost::system::error_code ec) {
    if (!ec && !alive.expired() && life == life_) (this->*next)();
  });
}

void Watch::load() {
  client_.range(range_, [this, life = ++life_](Result<RangeAnswer> r) {
    if (life == life_) loaded(std::move(r));
  });
}

void Watch::loaded(Result<RangeAnswer> r) {
  if (!r) return broken(r.error());
  backoff_ = kLeastBackoff;
  Keys now;
  for (KeyValue& k : r->keys) {
    std::string name = k.key;
    now.emplace(std::move(name), std::move(k));
  }
  revision_ = r->revision;
  unlike_ = 0;
  open_stream();
  after(kPing, &Watch::ping);
  const bool news = !loaded_ || now != keys_;
  loaded_ = true;
  keys_ = std::move(now);
  in_touch_ = true;
  if (news) handlers_.on_keys(keys_);
  reach({});
}

void Watch::open_stream() {
  stream_endpoint_ = client_.endpoint();
  stream_ = client_.watch(
      range_, revision_ + 1,
      [this, life = life_](std::string_view line) {
        if (life == life_) on_line(line);
      },
      [this, life = life_](const Result<HttpCall::Answer>& r) {
        if (life != life_) return;
        broken(r ? Error{Errc::unavailable, fmt::format("etcd ended the watch with status {}", r->status), {}}
                 : r.error());
      });
}

void Watch::on_line(std::string_view line) {
  if (line.empty()) return;
  const auto a = parse_watch(line);
  if (!a) return broken(a.error());
  if (a->canceled) {
    client_.forget_token();  // it may be that
    return broken(Error{Errc::stale,
                        a->compacted > 0 ? fmt::format("events up to revision {} were compacted away", a->compacted)
                                         : "etcd cancelled the watch: " + a->why,
                        {}});
  }
  if (a->events.empty()) return;
  revision_ = std::max(revision_, a->revision);
  apply(a->events);
}

void Watch::apply(const std::vector<WatchEvent>& events) {
  for (const WatchEvent& e : events) {
    if (e.deleted)
      keys_.erase(e.key.key);
    else
      keys_[e.key.key] = e.key;
  }
  handlers_.on_keys(keys_);
}

void Watch::ping() {
  client_.count(range_, [this, life = life_](const Result<RangeAnswer>& r) {
    if (life == life_) ponged(r);
  });
}

void Watch::ponged(const Result<RangeAnswer>& r) {
  if (!r) return broken(r.error());
  if (r->revision < revision_)
    return broken(Error{Errc::stale, fmt::format("etcd is at revision {}, and was at {}", r->revision, revision_), {}});
  if (client_.endpoint() != stream_endpoint_)
    return broken(Error{Errc::unavailable, "its endpoint does not answer", {}});
  // An event may be on its way to us, so once is no sign.
  unlike_ = r->count == static_cast<std::int64_t>(keys_.size()) ? 0 : unlike_ + 1;
  if (unlike_ >= 2)
    return broken(Error{Errc::stale, fmt::format("etcd has {} keys, we know {}", r->count, keys_.size()), {}});
  after(kPing, &Watch::ping);
}

/// What was lost can be read again at once, if etcd is there; else in a moment.
void Watch::broken(const Error& why) {
  if (stopped_) return;
  ++life_;
  if (stream_) stream_->cancel();
  stream_ = nullptr;
  const bool there = why.code == Errc::stale;
  if (!there) {
    in_touch_ = false;
    reach(std::unexpected(why));
  }
  after(backoff_, &Watch::load);
  backoff_ = std::min(2 * backoff_, kMostBackoff);
}

void Watch::reach(const Result<>& r) {
  if (said_ && last_ == r.has_value()) return;
  said_ = true;
  last_ = r.has_value();
  handlers_.on_reach(r);
}

}  // namespace sluice::etcd
