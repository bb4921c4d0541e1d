#pragma once
#include "coordinator/policy/types.h"

namespace sluice::coordinator::test {

/// A cluster with p prefill and d decode nodes, three profiles, equal nodes and links.
inline ClusterSnapshot cluster(std::size_t p, std::size_t d) {
  ClusterSnapshot c;
  c.profiles = {{"raw", 0.0}, {"q8", 0.001}, {"h4", 0.03}};
  const std::vector<ProfileSpeed> speeds{{8e9, 8e9, 1.0}, {4e9, 4e9, 2.0}, {2e9, 2e9, 3.8}};
  c.kv_bytes_per_token = 131072;  // Llama-3.1-8B in bf16
  c.layers = 32;
  for (std::size_t i = 0; i < p; ++i)
    c.prefills.push_back({NodeId("p" + std::to_string(i)), Incarnation(1), true, 10000, 0, speeds});
  for (std::size_t i = 0; i < d; ++i)
    c.decodes.push_back(
        {NodeId("d" + std::to_string(i)), Incarnation(1), true, 16, 1000, 1000, 64, 0, 0.01, 1, speeds});
  c.links.assign(p * d, {1e9, 1e-4, 0});
  return c;
}

inline RequestFeatures request(std::uint32_t prompt = 4096, std::uint32_t output = 128) {
  RequestFeatures r;
  r.prompt_tokens = prompt;
  r.max_new_tokens = output;
  r.ttft_slo_s = 10;
  r.tpot_slo_s = 0.1;
  return r;
}

}  // namespace sluice::coordinator::test
