#include "coordinator/ctl/targets.h"

#include <nlohmann/json.hpp>

#include "coordinator/ctl/views.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;

json target(const std::string& address, const std::string& role, const std::string& node, const std::string& model,
            const std::string& scheme = "http") {
  json labels{{"role", role}, {"node", node}};
  if (scheme == "https") labels["__scheme__"] = scheme;  // whom to believe is for Prometheus' own configuration to say
  if (!model.empty()) labels["model"] = model;
  return {{"targets", {address}}, {"labels", std::move(labels)}};
}

}  // namespace

std::string to_targets(const std::vector<std::pair<std::string, std::string>>& coordinators, const std::string& model,
                       const json& nodes) {
  json all = json::array();
  for (const auto& [name, address] : coordinators) all.push_back(target(address, "coordinator", name, model));
  for (const json& n : list(nodes, "nodes"))
    if (const std::string admin = word(n, "admin_address"); admin != "-" && !admin.empty())
      all.push_back(target(admin, word(n, "role"), word(n, "node"), model, word(n, "admin_scheme")));
  return all.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::ctl
