#include "common/etcd/client.h"

#include "common/json/parse.h"

namespace sluice::etcd {

using nlohmann::json;

namespace {

constexpr std::chrono::seconds kRenewal{1};  // how often the files of certificates are looked at

/// gRPC's status codes, as the gateway tells them.
enum Code : std::int64_t {
  kInvalidArgument = 3,
  kNotFound = 5,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kOutOfRange = 11,
  kUnavailable = 14,
  kUnauthenticated = 16
};

struct Refusal {
  std::int64_t code = 0;
  std::string message;
  /// Another token may help: this one ran out, or users or roles were changed since it was given.
  [[nodiscard]] bool of_token() const {
    return code == kUnauthenticated || message.find("invalid auth token") != std::string::npos ||
           message.find("revision of auth store is old") != std::string::npos;
  }
  [[nodiscard]] Error error() const {
    if (message.find("user name is empty") != std::string::npos)
      return {Errc::permission_denied,
              message + "; set SLUICE_REGISTRY_USER and SLUICE_REGISTRY_PASSWORD to a user of etcd's",
              {}};
    if (message.find("authentication failed") != std::string::npos) return {Errc::permission_denied, message, {}};
    switch (code) {
      case kInvalidArgument:
        return {Errc::invalid_argument, message, {}};
      case kNotFound:
        return {Errc::not_found, message, {}};
      case kPermissionDenied:
      case kUnauthenticated:
        return {Errc::permission_denied, message, {}};
      case kResourceExhausted:
        return {Errc::resource_exhausted, message, {}};
      case kOutOfRange:
        return {Errc::stale, message, {}};
      default:
        return {Errc::unavailable, message, {}};
    }
  }
  /// Another endpoint may do better: this one has no leader, or is going down.
  [[nodiscard]] bool of_endpoint(int status) const {
    return status >= 500 && code != kResourceExhausted && code != kOutOfRange && code != kFailedPrecondition;
  }
};

Refusal refusal_of(const HttpCall::Answer& a) {
  const auto j = parse_json(a.body, {.what = "etcd's answer", .max_bytes = std::size_t{64} << 10});
  Refusal r{j ? int_at(*j, "code") : kUnavailable, j ? text_at(*j, "message") : std::string()};
  if (r.message.empty()) {  // no JSON: the gateway's own words, in front of etcd
    const std::string_view line = std::string_view(a.body).substr(0, std::min(a.body.find('\n'), std::size_t{200}));
    r.message = fmt::format("etcd answered with status {}{}{}", a.status, line.empty() ? "" : ": ", line);
    r.code = a.status >= 500 ? kUnavailable : kInvalidArgument;
  }
  return r;
}

template <class T, class F>
auto then(Client::Done<T> done, F read) {
  return [done = std::move(done), read](Result<json> r) {
    if (!r) return done(std::unexpected(std::move(r).error()));
    done(read(*r));
  };
}

}  // namespace

struct Client::Attempt {
  std::string path, body;
  Done<json> done;
  std::size_t tries = 0;
  bool renewed = false;  // its token, once
};

struct Client::Pages {
  KeyRange range;
  Done<RangeAnswer> done;
  std::int64_t page = 0;
  RangeAnswer all;
  std::size_t bytes = 0;
};

Client::Client(boost::asio::io_context& io, Options o, std::shared_ptr<tls::Source> tls)
    : io_(io), options_(std::move(o)), tls_(std::move(tls)) {
  if (tls_) renewal_.emplace(io_, kRenewal, [this] { tls_->refresh(); });
}

Client::~Client() { stop(); }

void Client::stop() {
  stopped_ = true;
  renewal_.reset();
  for (const auto& c : std::exchange(open_, {})) c->cancel();
  wait_for_token_.clear();
}

void Client::call(const char* path, const json& body, Done<json> done) {
  if (stopped_) return;
  send(std::make_shared<Attempt>(Attempt{path, body.dump(), std::move(done)}));
}

void Client::send(const AttemptPtr& a) {
  if (stopped_) return;
  if (!options_.user.empty() && token_.empty() && a->path != "/v3/auth/authenticate") return authenticate(a);
  const std::size_t at = endpoint_;
  const auto self = std::make_shared<std::shared_ptr<HttpCall>>();
  *self = HttpCall::start(
      io_, context(),
      {.at = options_.endpoints[at], .target = a->path, .body = a->body, .token = token_, .timeout = options_.timeout},
      {}, [this, a, at, self](const Result<HttpCall::Answer>& r) {
        open_.erase(*self);
        answered(a, at, r);
      });
  open_.insert(*self);
}

void Client::answered(const AttemptPtr& a, std::size_t endpoint, const Result<HttpCall::Answer>& r) {
  if (!r) return try_next(a, endpoint, r.error());
  if (r->status / 100 == 2) {
    auto j = parse_json_object(r->body, {.what = "etcd's answer", .code = Errc::data_corrupt});
    return a->done(std::move(j));
  }
  const Refusal no = refusal_of(*r);
  if (no.of_token() && !options_.user.empty() && !a->renewed) {
    a->renewed = true;
    token_.clear();
    return send(a);
  }
  if (no.of_endpoint(r->status)) return try_next(a, endpoint, no.error());
  a->done(std::unexpected(no.error()));
}

void Client::try_next(const AttemptPtr& a, std::size_t failed, const Error& why) {
  if (endpoint_ == failed)
    endpoint_ = (failed + 1) % options_.endpoints.size();  // unless another call moved on already
  if (++a->tries < options_.endpoints.size()) return send(a);
  a->done(fail(Errc::unavailable, "etcd cannot be reached: {}", why.message));
}

void Client::authenticate(const AttemptPtr& first) {
  wait_for_token_.push_back(first);
  if (wait_for_token_.size() > 1) return;
  call("/v3/auth/authenticate", {{"name", options_.user}, {"password", options_.password}}, [this](Result<json> r) {
    if (r) token_ = text_at(*r, "token");
    const auto waiting = std::exchange(wait_for_token_, {});
    for (const AttemptPtr& a : waiting) {
      if (!r)
        a->done(std::unexpected(r.error()));
      else if (token_.empty())
        a->done(fail(Errc::data_corrupt, "etcd gave no token"));
      else
        send(a);
    }
  });
}

void Client::grant(std::chrono::seconds ttl, const Done<LeaseId>& done) {
  call("/v3/lease/grant", {{"TTL", std::to_string(ttl.count())}}, then(done, [](const json& j) -> Result<LeaseId> {
         const LeaseId id = int_at(j, "ID");
         if (id == 0) return fail(Errc::data_corrupt, "etcd gave no lease");
         return id;
       }));
}

void Client::keep_alive(LeaseId lease, const Done<void>& done) {
  call("/v3/lease/keepalive", {{"ID", std::to_string(lease)}}, then(done, [](const json& j) -> Result<> {
         if (!j.contains("result") || int_at(j["result"], "TTL") <= 0)
           return fail(Errc::not_found, "the lease ran out");
         return {};
       }));
}

void Client::revoke(LeaseId lease, const Done<void>& done) {
  call("/v3/lease/revoke", {{"ID", std::to_string(lease)}}, then(done, [](const json&) -> Result<> { return {}; }));
}

void Client::count(const KeyRange& r, const Done<RangeAnswer>& done) {
  call("/v3/kv/range", range_json(r, 0, 0, true), then(done, parse_range));
}

void Client::commit(const Txn& t, const Done<TxnAnswer>& done) {
  call("/v3/kv/txn", txn_json(t), then(done, parse_txn));
}

void Client::range(const KeyRange& r, const Done<RangeAnswer>& done, std::int64_t page) {
  next_page(std::make_shared<Pages>(Pages{r, done, page, {}, 0}));
}

void Client::next_page(const std::shared_ptr<Pages>& p) {
  call("/v3/kv/range", range_json(p->range, p->page, p->all.revision, false), [this, p](Result<json> r) {
    auto page = r ? parse_range(*r) : Result<RangeAnswer>(std::unexpected(r.error()));
    if (!page) return p->done(std::unexpected(page.error()));
    if (p->all.revision == 0) p->all.revision = page->revision;  // the others are read as of then
    for (auto& k : page->keys) {
      p->bytes += k.key.size() + k.value.size();
      p->all.keys.push_back(std::move(k));
    }
    p->all.count = static_cast<std::int64_t>(p->all.keys.size());
    if (p->bytes > kMostBytes) return p->done(fail(Errc::resource_exhausted, "more than {} bytes in etcd", kMostBytes));
    if (!page->more || page->keys.empty()) return p->done(std::move(p->all));
    p->range.begin = p->all.keys.back().key + '\0';
    next_page(p);
  });
}

std::shared_ptr<HttpCall> Client::watch(const KeyRange& r, std::int64_t from_revision, HttpCall::OnLine on_line,
                                        HttpCall::Done done) {
  return HttpCall::start(io_, context(),
                         {.at = options_.endpoints[endpoint_],
                          .target = "/v3/watch",
                          .body = watch_json(r, from_revision).dump(),
                          .token = token_,
                          .timeout = options_.timeout},
                         std::move(on_line), std::move(done));
}

}  // namespace sluice::etcd
