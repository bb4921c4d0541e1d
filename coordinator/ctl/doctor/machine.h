#pragma once
// A host report (sluice-decode --host-report, a node's page /host) as facts. It may come from a stranger or from
// another version: what is missing, of another type or beyond all reason is unknown, lists and words are bounded.
// Threading: pure values. Failure: none but "not a report at all".
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace sluice::ctl::doctor {

struct Interface {
  std::string name;
  bool up = false, loopback = false;
  double mtu = 0;
  std::optional<double> speed_mbps;
  std::vector<std::string> addresses;
};

struct RdmaPort {
  std::string device;  // "mlx5_0:1"
  bool active = false;
  std::string rate;
};

struct Lane {
  std::string transport, device;
};

/// What UCX chose for a connection that is open now.
struct OpenPath {
  std::string peer, lane;
  bool inbound = false;
};

/// Absent: not known. Unlimited is infinity.
struct Limit {
  std::optional<double> soft, hard;
};

struct Ucx {
  std::string version, tls, net_devices, why_none;
  std::vector<Lane> usable, found;
};

struct ModelDir {
  std::string dir, why;
  bool readable = false;
  double weight_bytes = 0;
};

struct Machine {
  std::string node, role, version, host, boot_id;
  std::optional<double> wall_time_ns;
  // processor
  std::string cpu_model;
  double cores = 0;             // 0: not known
  std::optional<double> quota;  // cores that control groups allow
  bool avx2 = false, avx512 = false, bf16 = false;
  std::vector<std::string> governors;
  // memory, in bytes
  std::optional<double> total, machine_free, free, shm;
  std::string huge_pages;
  Limit memlock_bytes, open_files;
  std::vector<Interface> interfaces;
  std::vector<RdmaPort> rdma;
  std::optional<bool> clock_synchronized;
  Ucx ucx;
  std::vector<OpenPath> paths;
  double threads = 0, kv_memory_mib = 0;  // as the node was told; 0: its own choice
  std::optional<ModelDir> model;
};

/// data_corrupt: it is no host report.
[[nodiscard]] Result<Machine> parse_machine(const nlohmann::json& report);

}  // namespace sluice::ctl::doctor
