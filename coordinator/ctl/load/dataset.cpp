#include "coordinator/ctl/load/dataset.h"

#include <algorithm>

#include "common/files.h"
#include "coordinator/ctl/load/recorded.h"
#include "coordinator/ctl/load/synthetic.h"
#include "coordinator/ctl/load/trace.h"

namespace sluice::ctl::load {
namespace {

constexpr std::size_t kMaxFile = std::size_t{2} << 30;

SyntheticSpec spec_of(const LoadOptions& o) {
  return {.conversations = o.requests,
          .input = {o.input_len, o.range_ratio},
          .output = {o.output_len, o.range_ratio},
          .seed = o.seed};
}

Result<std::unique_ptr<Dataset>> trace_of(const LoadOptions& o, const Surroundings& s) {
  if (o.trace.empty()) return fail_param("trace", "--dataset trace needs --trace FILE");
  SLUICE_ASSIGN(const std::string text, read_file(o.trace, kMaxFile));
  auto plan = parse_trace(text);
  if (!plan) return fail(plan.error().code, "{}: {}", o.trace, plan.error().message);
  for (auto& q : *plan) q.at_s *= o.time_scale;
  if (plan->size() > o.requests) plan->resize(o.requests);
  return std::make_unique<TraceDataset>(std::move(*plan), s, o.seed);
}

Result<std::unique_ptr<Dataset>> recorded_of(const LoadOptions& o, const Surroundings& s) {
  if (o.file.empty()) return fail_param("dataset-file", "--dataset {} needs --dataset-file FILE", o.dataset);
  SLUICE_ASSIGN(const std::string text, read_file(o.file, kMaxFile));
  auto turns =
      o.dataset == "file"
          ? read_prompts(text, {.output_len = o.output_len, .chat = s.chat})
          : read_sharegpt(text,
                          {.wanted = o.requests, .seed = o.seed, .context = s.context, .count_tokens = s.count_tokens});
  if (!turns) return fail(turns.error().code, "{}: {}", o.file, turns.error().message);
  std::string note;
  if (turns->size() < o.requests)
    note =
        fmt::format("The file has {} prompts to use; {} requests use them again in turn.", turns->size(), o.requests);
  return std::make_unique<RecordedDataset>(std::move(*turns), o.requests, std::move(note));
}

Result<std::unique_ptr<Dataset>> multi_turn_of(const LoadOptions& o, const Surroundings& s) {
  SyntheticSpec spec = spec_of(o);
  spec.conversations = (o.requests + o.turns - 1) / o.turns;
  const auto longest = static_cast<double>(o.turns * (o.input_len + o.output_len)) * (1 + o.range_ratio);
  if (s.context > 0 && longest > static_cast<double>(s.context))
    return fail_param("turns",
                      "{} turns of {} and {} tokens are about {:.0f} in the last prompt, and the model takes {}: take "
                      "less of --turns, --input-len or --output-len",
                      o.turns, o.input_len, o.output_len, longest, s.context);
  return std::make_unique<MultiTurnDataset>(spec, s, o.turns);
}

}  // namespace

Result<std::unique_ptr<Dataset>> make_dataset(const LoadOptions& o, const Surroundings& s) {
  if (o.dataset == "trace") return trace_of(o, s);
  if (o.dataset == "sharegpt" || o.dataset == "file") return recorded_of(o, s);
  if (o.dataset == "multi-turn") return multi_turn_of(o, s);
  if (o.dataset == "prefix") return std::make_unique<PrefixDataset>(spec_of(o), s, o.prefix_groups, o.prefix_len);
  return std::make_unique<RandomDataset>(spec_of(o), s);
}

bool fit_context(std::uint64_t& input_tokens, std::uint64_t& output_tokens, std::uint64_t context) {
  const std::uint64_t input = input_tokens, output = output_tokens;
  const std::uint64_t most = context > 0 ? std::max<std::uint64_t>(context, 2) : ~std::uint64_t{0};
  output_tokens = std::clamp<std::uint64_t>(output, 1, most - 1);
  input_tokens = std::clamp<std::uint64_t>(input, 1, most - output_tokens);
  return input_tokens != input || output_tokens != output;
}

}  // namespace sluice::ctl::load
