#include "common/flags/program.h"
#include "common/log.h"
#include "common/random_id.h"
#include "node/host_report.h"
#include "node/other_role.h"
#include "prefill_node/app.h"

int main(int argc, char** argv) {
  using namespace sluice;
  prefill::AppOptions o;
  LogOptions log_options;
  flags::App app("Sluice prefill node: computes prompts and streams their KV, compressed, to decode nodes",
                 "sluice-prefill");
  add_common_options(app, log_options);
  node::add_node_options(app, o.node);
  node::RoleFlags role;
  node::add_role_flags(app, role);
  std::size_t frame_kib = o.prefill.exporting.target_frame_bytes >> 10U;
  bool no_overlap = false;
  std::string prefix_cache = "on";
  app.add_option("--max-waiting", o.prefill.max_waiting, "Prompts that may wait for KV blocks")->capture_default_str();
  app.add_option("--encode-workers", o.prefill.exporting.workers, "Threads that encode KV")
      ->capture_default_str()
      ->check(flags::positive());
  app.add_option("--frame-kib", frame_kib, "Uncompressed KV per frame")
      ->capture_default_str()
      ->check(flags::range(16, 8192));
  app.add_flag("--no-overlap", no_overlap, "Send KV only after the whole prompt is computed (for measurements)");
  app.add_option(
         "--prefix-cache", prefix_cache,
         "on: KV of prompts stays while there is room, and a prompt that begins alike does not compute it again")
      ->capture_default_str()
      ->check(flags::one_of({"on", "off"}));
  node::add_host_report(app, o.node, "prefill");
  return run_main(app, argc, argv, [&] {
    o.prefill.exporting.target_frame_bytes = frame_kib << 10U;
    o.prefill.exporting.overlap = !no_overlap;
    o.prefill.prefix_cache = prefix_cache == "on";
    if (o.node.name.empty()) o.node.name = random_name("prefill");
    if (role.check_only) {
      node::check_node_options(o.node);
      return kExitOk;
    }
    log::init("prefill", o.node.name, log_options.level, log_options.format);
    const auto next = node::OtherRole::prepare(app, role, control::Role::prefill, o.node.name);
    o.node.keeps_role = next.why_not();
    return next.after(prefill::run_app(o));
  });
}
