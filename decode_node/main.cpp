#include "common/flags/program.h"
#include "common/log.h"
#include "common/random_id.h"
#include "decode_node/app.h"
#include "node/host_report.h"
#include "node/other_role.h"

int main(int argc, char** argv) {
  using namespace sluice;
  decode::AppOptions o;
  LogOptions log_options;
  flags::App app("Sluice decode node: receives KV, verifies it, generates tokens", "sluice-decode");
  add_common_options(app, log_options);
  node::add_node_options(app, o.node);
  node::RoleFlags role;
  node::add_role_flags(app, role);
  std::size_t staging_mib = o.receiver.staging_bytes >> 20U;
  std::size_t window_mib = o.receiver.window_bytes >> 20U;
  app.add_option("--data-listen", o.data_listen, "Address KV is received on; port 0 takes a free one")
      ->capture_default_str();
  app.add_option("--max-seqs", o.decode.max_seqs, "Sequences held at once")
      ->capture_default_str()
      ->check(flags::positive());
  std::string on_demand = "on";
  std::optional<int> swap_mib;
  app.add_option("--kv-on-demand", on_demand,
                 "on: sequences take KV blocks as their tokens come; off: all they may need at once")
      ->capture_default_str()
      ->check(flags::one_of({"on", "off"}));
  app.add_option(
         "--swap-mib", swap_mib,
         "Memory for the KV of sequences that gave up their blocks for a while; 0: none, they are computed once "
         "more or resumed. Not given: a quarter of the KV memory")
      ->check(flags::range(0, 1 << 24));
  app.add_option("--ingest-workers", o.decode.ingest_workers, "Threads that check and decode KV")
      ->capture_default_str()
      ->check(flags::positive());
  std::string seal = "encrypt";
  app.add_option("--seal", seal, "encrypt: AES-256-GCM; digest: authenticated, not encrypted")
      ->capture_default_str()
      ->check(flags::one_of({"encrypt", "digest"}));
  app.add_option("--staging-mib", staging_mib, "Memory for KV that arrived and is not decoded yet")
      ->capture_default_str()
      ->check(flags::range(16, 1 << 20));
  app.add_option("--window-mib", window_mib, "Credit of one prefill node")
      ->capture_default_str()
      ->check(flags::range(16, 1 << 20));
  node::add_host_report(app, o.node, "decode");
  return run_main(app, argc, argv, [&] {
    o.decode.seal = seal == "digest" ? kv::SealMode::digest : kv::SealMode::encrypt;
    o.decode.kv_on_demand = on_demand == "on";
    if (swap_mib) o.decode.swap_bytes = static_cast<std::uint64_t>(*swap_mib) << 20U;
    o.receiver.staging_bytes = staging_mib << 20U;
    o.receiver.window_bytes = window_mib << 20U;
    if (o.node.name.empty()) o.node.name = random_name("decode");
    if (role.check_only) {
      node::check_node_options(o.node);
      decode::check_options(o);
      return kExitOk;
    }
    log::init("decode", o.node.name, log_options.level, log_options.format);
    const auto next = node::OtherRole::prepare(app, role, control::Role::decode, o.node.name);
    o.node.keeps_role = next.why_not();
    return next.after(decode::run_app(o));
  });
}
