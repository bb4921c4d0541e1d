#include "coordinator/ctl/views.h"

#include <fmt/format.h>
#include <chrono>

#include "coordinator/ctl/table.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;

const json* field(const json& j, const char* key) {
  if (!j.is_object()) return nullptr;
  const auto it = j.find(key);
  return it == j.end() || it->is_null() ? nullptr : &*it;
}

std::string rate_at(const json& j, const char* key) {
  const double v = number(j, key);
  return v > 0 ? bytes_text(v) + "/s" : "-";
}

std::string speed_of(const json& node) {
  if (word(node, "role") == "prefill") {
    const double v = number(node, "prefill_tokens_per_s");
    return v > 0 ? fmt::format("{:.0f} tok/s", v) : "-";
  }
  const double v = number(node, "step_ms");
  return v > 0 ? fmt::format("{:.2f} ms/step", v) : "-";
}

std::string short_number(const json& j, const char* key) {
  const json* v = field(j, key);
  return v != nullptr && v->is_number() ? fmt::format("{:.3g}", v->get<double>()) : "-";
}

std::string predicted_and_actual(const json& d, const char* predicted, const char* actual) {
  return fmt::format("{} / {}", millis_at(d, predicted), millis_at(d, actual));
}

/// Why a leg failed, in the coordinator's words; nothing for the others.
std::string failure_of(const json& d) {
  const json e = object_at(d, "error");
  return e.empty() ? std::string() : word(e, "message");
}

std::string slo_line(const json& s) {
  return fmt::format("TTFT {}, TPOT {}, attainment {}, quality KL <= {}, objective {}", millis_at(s, "ttft_ms"),
                     millis_at(s, "tpot_ms"), word(s, "attainment"), word(s, "quality_kl"), word(s, "objective"));
}

/// "p0 -> " before the decode node; nothing where no prefill node has a part.
std::string from_text(const json& k) {
  return field(k, "prefill_node") == nullptr ? std::string() : word(k, "prefill_node") + " -> ";
}

/// The prefill node and the decode node; before that the nodes that it moved off, in order.
std::string pair_of(const json& d) {
  std::string nodes = field(d, "decode_node") == nullptr ? word(d, "prefill_node") + " -> " : from_text(d);
  for (const auto& m : list(d, "moves")) nodes += word(m, "from") + " > ";
  return nodes + word(d, "decode_node");
}

/// The profile, and the one that the transfer went on under where there is one.
std::string sent_under(const json& d) {
  const std::string profile = word(d, "profile");
  return d.contains("changed_to") && d["changed_to"].is_string() ? profile + " > " + word(d, "changed_to") : profile;
}

/// With the role that a draining node will have.
std::string state_of(const json& node) {
  const std::string state = word(node, "state");
  return node.contains("becomes") ? fmt::format("{} > {}", state, word(node, "becomes")) : state;
}

/// Whether the nodes stand in the right proportion, where anything is to be said of it.
std::string roles_text(const json& roles) {
  std::string out;
  for (const auto& c : list(roles, "under_way"))
    out += fmt::format("role     {} becomes a {} node, for {}\n", word(c, "node"), word(c, "role"), word(c, "reason"));
  const json better = object_at(roles, "better");
  if (better.empty()) return out;
  return out +
         fmt::format("roles    {} prefill and {} decode nodes would carry {} requests/s, not {}; {}\n",
                     word(better, "prefill_nodes"), word(better, "decode_nodes"), word(better, "goodput_per_s"),
                     word(object_at(roles, "now"), "goodput_per_s"),
                     is_true(roles, "automatic") ? word(better, "waits_for") : "--auto-roles is off (sluicectl role)");
}

/// What a decode node's sequences are expected to hold at most, of its memory; and who waits there for blocks.
std::string forecast_of(const json& node) {
  const json m = object_at(node, "memory");
  if (m.empty()) return "-";
  const std::string share = fmt::format("{:.0f}%", 100 * number(m, "forecast_ratio"));
  return number(m, "parked") > 0 ? fmt::format("{}, {} parked", share, word(m, "parked")) : share;
}

}  // namespace

json list(const json& j, const char* key) {
  const json* v = field(j, key);
  return v != nullptr && v->is_array() ? *v : json::array();
}

json object_at(const json& j, const char* key) {
  const json* v = field(j, key);
  return v != nullptr && v->is_object() ? *v : json::object();
}

bool is_true(const json& j, const char* key) {
  const json* v = field(j, key);
  return v != nullptr && v->is_boolean() && v->get<bool>();
}

double number(const json& j, const char* key) {
  const json* v = field(j, key);
  return v != nullptr && v->is_number() ? v->get<double>() : 0;
}

std::string word(const json& j, const char* key) {
  const json* v = field(j, key);
  if (v == nullptr) return "-";
  if (v->is_string()) return v->get_ref<const std::string&>().empty() ? "-" : printable(v->get<std::string>());
  if (v->is_boolean()) return v->get<bool>() ? "yes" : "no";
  if (v->is_number_integer()) return v->dump();
  if (v->is_number()) return fmt::format("{:.4g}", v->get<double>());
  return "-";
}

std::string millis_at(const json& j, const char* key) {
  const json* v = field(j, key);
  return v != nullptr && v->is_number() ? millis_text(v->get<double>()) : "-";
}

std::string status_text(const json& s, const std::string& address) {
  const json nodes = object_at(s, "nodes");
  std::string out = fmt::format("address  http://{}\n", address);
  out += fmt::format("state    {}\n", is_true(s, "ready") ? "ready" : "not ready: " + word(s, "reason"));
  out += fmt::format("model    {}\n", word(s, "model"));
  out += fmt::format("version  {}\n", word(s, "version"));
  out += fmt::format("control  {}\n", word(s, "control_address"));
  out += fmt::format("nodes    {} prefill, {} decode\n", word(nodes, "prefill_nodes"), word(nodes, "decode_nodes"));
  out += fmt::format("requests {} active, {} waiting\n", word(s, "active"), word(s, "waiting"));
  out += roles_text(object_at(s, "roles"));
  return out + "SLO      " + slo_text(object_at(s, "slo"));
}

std::string nodes_text(const json& answer) {
  Table t({"NODE", "ROLE", "STATE", ">RUNNING", ">WAITING", ">BLOCKS FREE", ">FORECAST", ">SPEED", "BACKEND", "ADMIN"});
  for (const auto& n : list(answer, "nodes"))
    t.row({word(n, "node"), word(n, "role"), state_of(n), word(n, "running"), word(n, "waiting"),
           fmt::format("{} / {}", word(n, "free_blocks"), word(n, "total_blocks")), forecast_of(n), speed_of(n),
           word(n, "backend"), word(n, "admin_address")});
  return t.empty() ? "no nodes have joined\n" : t.text();
}

std::string coordinators_text(const json& answer) {
  Table t({"COORDINATOR", "LEADER", "HTTP", "CONTROL", ">UP, h", "VERSION"});
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  for (const auto& c : list(answer, "coordinators"))
    t.row({word(c, "id") + (is_true(c, "me") ? " (this one)" : ""), is_true(c, "leader") ? "yes" : "", word(c, "http"),
           word(c, "control"), fmt::format("{:.1f}", (now - number(c, "since")) / 3600), word(c, "version")});
  std::string out = t.empty() ? "no coordinator has entered the registry\n" : t.text();
  if (answer.contains("in_touch") && !is_true(answer, "in_touch"))
    out += "the registry is out of reach: this is what was known last\n";
  return out;
}

std::string slo_text(const json& s) { return slo_line(s) + "\n"; }

std::string slo_classes_text(const json& answer) {
  Table t({"CLASS", ">TTFT", ">TPOT", ">ATTAINMENT", ">QUALITY KL", "OBJECTIVE", ">PRIORITY", "SEEDED LOSSY"});
  const json classes = object_at(answer, "classes");
  for (const auto& [name, s] : classes.items())
    t.row({printable(name), millis_at(s, "ttft_ms"), millis_at(s, "tpot_ms"), word(s, "attainment"),
           word(s, "quality_kl"), word(s, "objective"), word(s, "priority"), word(s, "seeded_lossy")});
  return t.empty() ? slo_text(answer) : t.text();
}

std::string slo_explain_text(const json& x) {
  std::string out = fmt::format("class      {}: {}", word(x, "class"), slo_text(object_at(x, "slo")));
  const json recent = object_at(x, "recent");
  out += fmt::format("recent     {} of {} requests met it\n", word(recent, "met"), word(recent, "finished"));
  out += fmt::format("reachable  {} (prompts of {} tokens)\n", word(x, "reachable"), word(x, "prompt_tokens"));
  for (const char* when : {"idle", "now"}) {
    const json k = object_at(x, when);
    if (k.empty()) continue;
    out += fmt::format("{:<9}  TTFT {}, TPOT {} over {}{}, profile {}; chance {}\n", when, millis_at(k, "ttft_ms"),
                       millis_at(k, "tpot_ms"), from_text(k), word(k, "decode_node"), word(k, "profile"),
                       fmt::format("{:.3f}", number(k, "chance")));
    out += "          ";
    const json stages = object_at(k, "stages_ms");
    for (const auto& [stage, ms] : stages.items())
      if (ms.is_number() && ms.get<double>() > 0)
        out += fmt::format(" {} {}", printable(stage), millis_text(ms.get<double>()));
    out += "\n";
  }
  out += fmt::format("binds      {}\n", word(x, "binds"));
  const json pd = object_at(x, "pd");
  if (!pd.empty()) out += fmt::format("P/D        {}\n", word(pd, "verdict"));
  for (const auto& a : list(x, "advice"))
    if (a.is_string()) out += fmt::format("- {}\n", printable(a.get<std::string>()));
  return out;
}

std::string profiles_text(const json& answer) {
  Table t(
      {"PROFILE", ">KL", ">STATED KL", ">PROBED KL", ">TOP-1", ">PROBES", ">RATIO", ">ENCODE", ">DECODE", "ALLOWED"});
  for (const auto& p : list(answer, "profiles"))
    t.row({word(p, "name"), word(p, "kl"), word(p, "stated_kl"), short_number(p, "probed_kl"),
           short_number(p, "probed_top1"), word(p, "probes"), word(p, "ratio"), rate_at(p, "encode_bps"),
           rate_at(p, "decode_bps"), word(p, "allowed")});
  return t.text();
}

std::string migrate_text(const json& said) {
  std::string out;
  for (const auto& leg : list(said, "legs"))
    out += is_true(leg, "moved")
               ? fmt::format("leg {}: {} -> {}, stalled for {}\n", word(leg, "leg"), word(leg, "from"),
                             word(said, "node"), millis_at(leg, "stall_ms"))
               : fmt::format("leg {}: stays on {}: {}\n", word(leg, "leg"), word(leg, "from"), word(leg, "why"));
  return out;
}

std::string decisions_text(const json& answer) {
  Table t({">SEQ", "REQUEST", "PAIR", "PROFILE", "REASON", ">TTFT PRED / ACTUAL", ">TPOT PRED / ACTUAL", ">KV RAW",
           ">WIRE", "OUTCOME", "WHY"});
  for (const auto& d : list(answer, "decisions")) {
    if (word(d, "event").starts_with("role_")) {
      t.row({word(d, "seq"), word(d, "reason"), word(d, "node"), "", word(d, "event"), "", "", "", "", word(d, "role"),
             d.contains("why") ? word(d, "why") : fmt::format("in {} s", short_number(d, "seconds"))});
      continue;
    }
    if (d.is_object() && d.contains("event")) {      // a change of settings or profiles between the requests
      const bool quality = d.contains("probed_kl");  // what probes said of a profile
      t.row({word(d, "seq"), quality ? "" : word(d, "peer"), "", quality ? word(d, "profile") : "", word(d, "event"),
             "", "", "", "", quality ? "" : word(d, "slo_class"),
             quality ? fmt::format("KL stated {}, probed {}, taken for {}", short_number(d, "stated_kl"),
                                   short_number(d, "probed_kl"), short_number(d, "effective_kl"))
                     : slo_line(object_at(d, "slo"))});
      continue;
    }
    t.row({word(d, "seq"), word(d, "request_id").substr(0, 20), pair_of(d), sent_under(d), word(d, "reason"),
           predicted_and_actual(d, "predicted_ttft_ms", "ttft_ms"),
           predicted_and_actual(d, "predicted_tpot_ms", "tpot_ms"), bytes_text(number(d, "kv_raw_bytes")),
           bytes_text(number(d, "kv_wire_bytes")), word(d, "outcome"), failure_of(d)});
  }
  return t.empty() ? "no decisions yet\n" : t.text();
}

}  // namespace sluice::ctl
