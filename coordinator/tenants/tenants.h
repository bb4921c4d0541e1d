#pragma once
// Who asks and what is left to him: API keys from a file that may change while the coordinator runs, a quota for each,
// and metrics by tenant. Without any key everybody is the tenant "default", an administrator without bounds.
//
// A file that cannot be read anew leaves the keys as they are: an error in the log, and
// sluice_api_key_reload_failures_total. Quotas outlive a reload by the key's id. The number of tenants that metrics
// tell apart is bounded (kMaxTold); the rest are "other". Threading: any thread, refresh() on one; one mutex, held for
// a few look-ups and never while keys are compared or files read, so that counting is exact over all threads. Lifetime:
// outlives the leases it gave.
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "common/file_stamp.h"
#include "common/metrics.h"
#include "coordinator/tenants/key_ring.h"
#include "coordinator/tenants/quota.h"

namespace sluice::coordinator {

struct KeyOptions {
  std::vector<std::string> keys = {};  // an operator's own: administrators without bounds
  std::string file = {};               // see key_file.h; empty: none
};

inline constexpr const char* kDefaultTenant = "default";

class Tenants {
 public:
  static constexpr std::size_t kMaxTold = 100;

  /// One request of a caller, from its beginning to its end. What it has not settled when it goes was not used.
  class Lease {
   public:
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    /// What the request may cost. A request that named no bound of its own (`open_ended`) is charged no more than a
    /// minute has: it would never fit otherwise.
    [[nodiscard]] std::optional<ApiError> charge(std::uint64_t tokens, bool open_ended);
    /// What it did cost; once.
    void settle(std::uint64_t prompt_tokens, std::uint64_t completion_tokens);
    /// 403 when the key names other classes; "" is the default class.
    [[nodiscard]] std::optional<ApiError> may_use_class(const std::string& slo_class) const;
    [[nodiscard]] HttpHeaders headers() const;
    [[nodiscard]] const std::string& tenant() const noexcept { return caller_->tenant; }

   private:
    friend class Tenants;
    Lease(Tenants& of, std::shared_ptr<const Caller> caller, std::shared_ptr<Quota> quota)
        : of_(of), caller_(std::move(caller)), quota_(std::move(quota)) {}
    Tenants& of_;
    std::shared_ptr<const Caller> caller_;
    std::shared_ptr<Quota> quota_;
    std::uint64_t charged_ = 0;
    bool settled_ = false;
  };

  /// Throws std::runtime_error when the file cannot be used (start-up).
  Tenants(const KeyOptions& o, const Clock& clock, Metrics& metrics);
  ~Tenants();
  Tenants(const Tenants&) = delete;
  Tenants& operator=(const Tenants&) = delete;

  /// A key is demanded.
  [[nodiscard]] bool guarded() const noexcept { return guarded_; }
  /// Whose key it is; 401 when it is nobody's, or has expired.
  [[nodiscard]] std::expected<std::shared_ptr<const Caller>, ApiError> identify(std::string_view key) const;
  /// A request begins. `models`: the names of what is served, one of which the key must allow. 403 or 429.
  [[nodiscard]] std::expected<std::shared_ptr<Lease>, std::pair<ApiError, HttpHeaders>> begin(
      const std::shared_ptr<const Caller>& caller, const std::vector<std::string>& models);
  /// Looks at the file, which costs little.
  void refresh();

 private:
  struct Series;
  [[nodiscard]] Result<> load();
  [[nodiscard]] std::shared_ptr<const KeyRing> ring() const;
  // With the mutex:
  [[nodiscard]] const std::shared_ptr<Quota>& quota_of(const ApiKey& key);
  [[nodiscard]] const Series& told(const std::string& tenant);

  const KeyOptions options_;
  const Clock& clock_;
  const bool guarded_;
  FileStamp seen_;            // of refresh()
  mutable std::mutex mutex_;  // guards what follows, and what leases have in common: quotas and series
  std::shared_ptr<const KeyRing> ring_;
  std::unordered_map<std::string, std::shared_ptr<Quota>> quotas_;  // by the key's id
  Counters requests_, tokens_, limited_;
  Gauges running_;
  Counter reload_failures_;
  Gauge keys_;
  std::map<std::string, std::unique_ptr<Series>> series_;  // by tenant
};

}  // namespace sluice::coordinator
