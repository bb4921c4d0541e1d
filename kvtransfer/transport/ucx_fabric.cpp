#include "kvtransfer/transport/fabric.h"
#include "kvtransfer/transport/ucx_settings.h"

namespace sluice::kv {
namespace {

Result<std::vector<FabricResource>> usable_with(const UcxOptions& o) {
  SLUICE_TRY(ucx::check_devices(o));
  SLUICE_ASSIGN(const auto config, ucx::configure(o));
  return ucx::resources(config);
}

Result<std::vector<FabricResource>> all_there_is() {
  SLUICE_ASSIGN(auto config, ucx::Config::read());
  SLUICE_TRY(config.set("TLS", "all"));
  SLUICE_TRY(config.set("NET_DEVICES", "all"));
  return ucx::resources(config);
}

}  // namespace

FabricReport report_fabric(const UcxOptions& o) {
  FabricReport r;
  r.version = ucp_get_version_string();
  if (auto usable = usable_with(o))
    r.usable = std::move(*usable);
  else
    r.why_none = usable.error().message;
  if (auto found = all_there_is()) r.found = std::move(*found);
  return r;
}

}  // namespace sluice::kv
