#pragma once
// Where SLO classes are kept when several coordinators share them. Owned by whoever changes classes (SloDesk); the
// registry implements it. Threading: the coordinator's io_context thread.
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/result.h"

namespace sluice::coordinator {

class SloStore {
 public:
  using Done = std::function<void(Result<>)>;
  virtual ~SloStore() = default;
  /// Writes a class as a whole. Done once all coordinators will see it. stale: another coordinator changed it
  /// meanwhile, which has been taken over: look again. unavailable: it was not written, or nobody can tell whether it
  /// was.
  virtual void put(const std::string& name, const nlohmann::json& slo, Done done) = 0;
  virtual void remove(const std::string& name, Done done) = 0;
};

}  // namespace sluice::coordinator
