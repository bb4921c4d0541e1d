#pragma once
// What `sluicectl bench` was asked for: the flags' values, as they were read. Pure data.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/tls/context.h"

namespace sluice::ctl::load {

struct LoadOptions {
  // The server.
  std::string url;                               // http(s)://host:port[/base]
  std::shared_ptr<const tls::Context> tls = {};  // whom to believe at an https one
  std::string api_key;
  std::string model;  // empty: the first one served
  std::string endpoint = "completions";
  std::vector<std::string> headers;  // "Name: value"
  std::string extra_body;            // a JSON object, merged into each request's body
  std::string ignore_eos = "auto";   // auto, yes, no
  bool no_usage = false;             // leave stream_options out
  bool no_explain = false;
  std::string profile;
  std::string mode;
  int timeout_s = 600;  // without progress

  // What is sent.
  std::string dataset;  // empty: trace where there is one, else random
  std::string file;     // of sharegpt and file
  std::string trace;
  double time_scale = 1;
  std::size_t requests = 100;
  std::uint64_t input_len = 128;
  std::uint64_t output_len = 64;
  double range_ratio = 0;  // lengths are drawn from this share below to this share above
  std::uint64_t prefix_groups = 8;
  std::uint64_t prefix_len = 256;
  std::uint64_t turns = 4;
  double think_time_s = 0;
  std::uint64_t seed = 0;

  // When.
  std::size_t concurrency = 0;  // 0: 8; with timed arrivals 4096
  double rate = 0;              // 0: as fast as concurrency allows
  std::vector<double> rates;    // a ramp
  std::string arrival = "poisson";
  double burstiness = 1;
  std::size_t warmup = 0;

  // What counts, and what is told.
  std::vector<std::string> goodput;
  std::optional<double> slo_ttft_ms, slo_tpot_ms, slo_e2el_ms;
  double attainment = 0.9;  // the share that must meet the objectives up to the knee of a ramp
  std::string report;       // HTML file
  std::string command;      // as it was typed, for the report
  bool progress = false;
  bool quiet = false;
  bool json = false;
};

}  // namespace sluice::ctl::load
