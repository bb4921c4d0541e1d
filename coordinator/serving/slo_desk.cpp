#include "coordinator/serving/slo_desk.h"

#include "common/log.h"
#include "coordinator/serving/slo_explain.h"

namespace sluice::coordinator {

using nlohmann::json;

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

Result<json> SloDesk::explain(const std::string& name) {
  SLUICE_ASSIGN(const Slo slo, book_.find(name));
  return explain_slo(name, slo, use_.log.recent(name), use_.view.snapshot(), use_.placement, use_.clock.now());
}

void SloDesk::note(const std::string& name, json now, const std::string& who) {
  log::info("SLO changed", {{"class", name}, {"peer", who}, {"slo", now.dump()}});
  use_.log.record_change({{"event", "slo_changed"}, {"slo_class", name}, {"slo", std::move(now)}, {"peer", who}},
                         unix_now());
  use_.changed();
}

}  // namespace sluice::coordinator
