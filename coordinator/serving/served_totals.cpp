#include "coordinator/serving/served_totals.h"

#include <nlohmann/json.hpp>

namespace sluice::coordinator {

using nlohmann::json;

void ServedTotals::add(const Session& s, std::string_view outcome) {
  if (s.seen.wire_bytes > 0) {
    OfProfile& p = profiles_[s.seen.mixed ? "mixed" : s.run.profile];
    ++p.transfers;
    p.raw_bytes += s.seen.raw_bytes;
    p.wire_bytes += s.seen.wire_bytes;
  }
  if (outcome != "stop" && outcome != "length") return;
  OfClass& c = classes_[s.asked.slo_class];
  ++c.finished;
  if (s.met_objectives()) ++c.met;
}

json ServedTotals::to_json() const {
  json classes = json::object();
  for (const auto& [name, c] : classes_) classes[name] = {{"finished", c.finished}, {"met", c.met}};
  json profiles = json::object();
  for (const auto& [name, p] : profiles_)
    profiles[name] = {{"transfers", p.transfers}, {"kv_raw_bytes", p.raw_bytes}, {"kv_wire_bytes", p.wire_bytes}};
  return {{"started", started_unix_s_}, {"classes", std::move(classes)}, {"profiles", std::move(profiles)}};
}

}  // namespace sluice::coordinator
