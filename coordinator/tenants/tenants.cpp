#include "coordinator/tenants/tenants.h"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

#include "common/log.h"

namespace sluice::coordinator {
namespace {

ApiError denied(std::string message, std::string code) {
  return {403, std::move(message), "permission_error", {}, std::move(code), std::nullopt};
}

ApiError unknown_key(std::string message, std::string code) {
  return {401, std::move(message), "authentication_error", {}, std::move(code), std::nullopt};
}

std::string listed(const std::vector<std::string>& names) {
  std::string all;
  for (const auto& n : names) all += (all.empty() ? "" : ", ") + n;
  return all;
}

}  // namespace

/// One tenant's part of the metrics.
struct Tenants::Series {
  Series(const Tenants& t, const std::string& tenant)
      : ok(t.requests_.with({{"tenant", tenant}, {"outcome", "admitted"}})),
        limited(t.requests_.with({{"tenant", tenant}, {"outcome", "rate_limited"}})),
        denied(t.requests_.with({{"tenant", tenant}, {"outcome", "denied"}})),
        prompt(t.tokens_.with({{"tenant", tenant}, {"kind", "prompt"}})),
        completion(t.tokens_.with({{"tenant", tenant}, {"kind", "completion"}})),
        running(t.running_.with({{"tenant", tenant}})) {
    for (const Spent s : {Spent::requests, Spent::tokens, Spent::concurrent})
      by_limit.push_back(t.limited_.with({{"tenant", tenant}, {"limit", std::string(name(s))}}));
  }
  void refused(const QuotaRefusal& r) const {
    limited.add();
    by_limit[static_cast<std::size_t>(r.what)].add();
  }
  void runs(int by) const { running.set(static_cast<double>(count += by)); }

  Counter ok, limited, denied, prompt, completion;
  Gauge running;
  std::vector<Counter> by_limit;
  mutable std::int64_t count = 0;
};

Tenants::Tenants(const KeyOptions& o, const Clock& clock, Metrics& metrics)
    : options_(o),
      clock_(clock),
      guarded_(!o.keys.empty() || !o.file.empty()),
      requests_(metrics.counters("sluice_tenant_requests_total",
                                 "Requests by tenant: admitted, refused for a spent budget, or not allowed.")),
      tokens_(metrics.counters("sluice_tenant_tokens_total", "Tokens used, by tenant: of prompts and of answers.")),
      limited_(metrics.counters("sluice_tenant_rate_limited_total",
                                "Requests refused, by tenant and by the budget that was spent.")),
      running_(metrics.gauges("sluice_tenant_requests_running", "Requests being answered, by tenant.")),
      reload_failures_(metrics.counter("sluice_api_key_reload_failures_total",
                                       "Times that a changed file of API keys could not be used.")),
      keys_(metrics.gauge("sluice_api_keys", "API keys that are accepted now.")) {
  seen_ = stamp_of({options_.file});
  if (auto r = load(); !r) throw std::runtime_error("--api-keys: " + r.error().message);
  if (guarded_) return;
  const std::lock_guard lock(mutex_);
  (void)told(kDefaultTenant);
}

Tenants::~Tenants() = default;

Result<> Tenants::load() {
  std::vector<ApiKey> keys;
  if (!options_.file.empty()) {
    SLUICE_ASSIGN(keys, load_keys(options_.file));
  }
  for (std::size_t i = 0; i < options_.keys.size(); ++i) {
    ApiKey k;
    k.key_id = fmt::format("operator:{}", i);
    k.tenant = kDefaultTenant;
    k.hash = sha256(options_.keys[i]);
    keys.push_back(std::move(k));
  }
  auto ring = std::make_shared<const KeyRing>(std::move(keys));
  const std::lock_guard lock(mutex_);
  ring_ = std::move(ring);
  keys_.set(static_cast<double>(ring_->keys().size()));
  std::set<std::string> kept;
  for (const auto& key : ring_->keys()) {
    (void)told(key->tenant);  // there from the start: its first count is an increase
    if (const auto it = quotas_.find(key->key_id); it != quotas_.end()) it->second->change(key->limits, clock_.now());
    kept.insert(key->key_id);
  }
  std::erase_if(quotas_, [&](const auto& q) { return !kept.contains(q.first); });  // leases keep theirs
  return {};
}

void Tenants::refresh() {
  if (options_.file.empty()) return;
  FileStamp now = stamp_of({options_.file});
  if (now == seen_) return;
  seen_ = std::move(now);
  if (auto r = load(); !r) {
    reload_failures_.add();
    log::error("the changed file of API keys cannot be used; the old keys stay", {{"why", r.error().message}});
    return;
  }
  log::info("API keys read anew", {{"keys", ring()->keys().size()}});
}

std::shared_ptr<const KeyRing> Tenants::ring() const {
  const std::lock_guard lock(mutex_);
  return ring_;
}

std::expected<std::shared_ptr<const Caller>, ApiError> Tenants::identify(std::string_view key) const {
  auto found = ring()->find(key);
  if (!found)
    return std::unexpected(unknown_key(
        "Give a valid API key in the Authorization header: Bearer KEY (or as x-api-key).", "invalid_api_key"));
  if (found->expires && *found->expires <= std::chrono::system_clock::now())
    return std::unexpected(
        unknown_key(fmt::format("The API key '{}' has expired; ask for a new one.", found->key_id), "expired_api_key"));
  return found;
}

const std::shared_ptr<Quota>& Tenants::quota_of(const ApiKey& key) {
  auto& q = quotas_[key.key_id];
  if (!q) q = std::make_shared<Quota>(key.limits, clock_.now());
  return q;
}

const Tenants::Series& Tenants::told(const std::string& tenant) {
  auto it = series_.find(tenant);
  if (it == series_.end()) {
    const std::string name = series_.size() < kMaxTold ? tenant : std::string("other");
    it = series_.find(name);
    if (it == series_.end()) it = series_.emplace(name, std::make_unique<Series>(*this, name)).first;
  }
  return *it->second;
}

std::expected<std::shared_ptr<Tenants::Lease>, std::pair<ApiError, HttpHeaders>> Tenants::begin(
    const std::shared_ptr<const Caller>& caller, const std::vector<std::string>& models) {
  const std::lock_guard lock(mutex_);
  const Series& series = told(caller->tenant);
  std::shared_ptr<Quota> quota;
  if (const auto* key = dynamic_cast<const ApiKey*>(caller.get())) {
    const auto named = [key](const std::string& m) { return std::ranges::find(key->models, m) != key->models.end(); };
    if (!key->models.empty() && std::ranges::none_of(models, named)) {
      series.denied.add();
      return std::unexpected(
          std::pair{denied(fmt::format("The API key '{}' is for other models: {}.", key->key_id, listed(key->models)),
                           "model_not_allowed"),
                    HttpHeaders{}});
    }
    quota = quota_of(*key);
    if (const auto refused = quota->begin(clock_.now())) {
      series.refused(*refused);
      return std::unexpected(std::pair{rate_limit_error(*refused, key->key_id), quota->headers(clock_.now())});
    }
  }
  series.ok.add();
  series.runs(+1);
  return std::shared_ptr<Lease>(new Lease(*this, caller, std::move(quota)));
}

// ---- One request ----

std::optional<ApiError> Tenants::Lease::charge(std::uint64_t tokens, bool open_ended) {
  if (!quota_) return std::nullopt;
  const std::lock_guard lock(of_.mutex_);
  if (open_ended) tokens = std::min(tokens, quota_->tokens_per_minute().value_or(tokens));
  const auto refused = quota_->charge(tokens, of_.clock_.now());
  if (!refused) {
    charged_ = tokens;
    return std::nullopt;
  }
  of_.told(caller_->tenant).refused(*refused);
  return rate_limit_error(*refused, caller_->key_id);
}

void Tenants::Lease::settle(std::uint64_t prompt_tokens, std::uint64_t completion_tokens) {
  if (std::exchange(settled_, true)) return;
  const std::lock_guard lock(of_.mutex_);
  if (quota_) quota_->settle(charged_, prompt_tokens + completion_tokens, of_.clock_.now());
  const Series& series = of_.told(caller_->tenant);
  series.prompt.add(static_cast<double>(prompt_tokens));
  series.completion.add(static_cast<double>(completion_tokens));
}

std::optional<ApiError> Tenants::Lease::may_use_class(const std::string& slo_class) const {
  const auto* key = dynamic_cast<const ApiKey*>(caller_.get());
  const std::string asked = slo_class.empty() ? "default" : slo_class;
  if (key == nullptr || key->slo_classes.empty() ||
      std::ranges::find(key->slo_classes, asked) != key->slo_classes.end())
    return std::nullopt;
  const std::lock_guard lock(of_.mutex_);
  of_.told(caller_->tenant).denied.add();
  return denied(fmt::format("The API key '{}' is for other SLO classes: {}.", key->key_id, listed(key->slo_classes)),
                "slo_class_not_allowed");
}

HttpHeaders Tenants::Lease::headers() const {
  if (!quota_) return {};
  const std::lock_guard lock(of_.mutex_);
  return quota_->headers(of_.clock_.now());
}

Tenants::Lease::~Lease() {
  settle(0, 0);
  const std::lock_guard lock(of_.mutex_);
  if (quota_) quota_->end();
  of_.told(caller_->tenant).runs(-1);
}

}  // namespace sluice::coordinator
