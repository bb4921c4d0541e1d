#include "coordinator/serving/slo_desk.h"

#include "common/log.h"
#include "coordinator/serving/slo_explain.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

Result<> quietly(const Result<Slo>& r) { return r ? Result<>() : Result<>(std::unexpected(r.error())); }

constexpr int kTries = 4;  // while others change the same class
constexpr const char* kOthers = "another coordinator";

}  // namespace

Result<> SloDesk::change(const std::string& name, const json& settings, const std::string& who) {
  SLUICE_ASSIGN(const Slo slo, book_.change(name, settings));
  note(name, slo_json(slo), who);
  return {};
}

Result<> SloDesk::remove(const std::string& name, const std::string& who) {
  SLUICE_TRY(book_.remove(name));
  note(name, nullptr, who);
  return {};
}

void SloDesk::request_change(const std::string& name, const json& settings, const std::string& who,
                             SloStore::Done done) {
  if (store_ == nullptr) return done(change(name, settings, who));
  write(name, settings, who, kTries, done);
}

/// Settings are a part of a class: somebody else may have changed another part meanwhile, which stays.
void SloDesk::write(const std::string& name, const json& settings, const std::string& who, int tries,
                    const SloStore::Done& done) {
  const auto next = book_.changed(name, settings);
  if (!next) return done(std::unexpected(next.error()));
  const auto pending = writing_.insert(name);
  store_->put(name, slo_json(*next),
              [this, name, settings, who, tries, done, pending, whole = slo_json(*next)](Result<> r) {
                writing_.erase(pending);
                if (!r && r.error().code == Errc::stale && tries > 1)
                  return write(name, settings, who, tries - 1, done);
                done(r ? change(name, whole, who) : std::move(r));
              });
}

void SloDesk::request_remove(const std::string& name, const std::string& who, SloStore::Done done) {
  if (store_ == nullptr) return done(remove(name, who));
  if (auto may = book_.may_remove(name); !may) return done(std::move(may));
  store_->remove(name, [this, name, who, done = std::move(done)](Result<> r) {
    // The news of it may have been faster.
    if (r && book_.find(name)) return done(remove(name, who));
    done(std::move(r));
  });
}

void SloDesk::take_over(const json& classes) {
  const auto before = book_.classes();
  for (const auto& [name, slo] : before)
    if (name != kDefaultClass && !classes.contains(name) && book_.remove(name)) note(name, nullptr, kOthers);
  for (const auto& [name, settings] : classes.items()) {
    const auto it = before.find(name);
    // Compared as it would be here: milliseconds lose a last digit on their way through seconds.
    const auto next = changed_slo(Slo{}, settings);
    if (next && it != before.end() && slo_json(it->second) == slo_json(*next)) continue;
    const bool ours = writing_.contains(name);  // the news was faster than the answer, which will be noted
    if (auto r = ours ? quietly(book_.change(name, settings)) : change(name, settings, kOthers); !r)
      log::warn("an SLO class of the registry is not used", {{"class", name}, {"why", r.error().message}});
  }
}

Result<json> SloDesk::explain(const std::string& name) {
  SLUICE_ASSIGN(const Slo slo, book_.find(name));
  json out = explain_slo(name, slo, use_.log.recent(name), use_.view.snapshot(), use_.placement, use_.clock.now());
  out["pd"] = use_.log.pd_worth().to_json();
  return out;
}

void SloDesk::note(const std::string& name, json now, const std::string& who) {
  log::info("SLO changed", {{"class", name}, {"peer", who}, {"slo", now.dump()}});
  use_.log.record_change({{"event", "slo_changed"}, {"slo_class", name}, {"slo", std::move(now)}, {"peer", who}},
                         unix_now());
  use_.changed();
}

}  // namespace sluice::coordinator
