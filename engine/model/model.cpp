#include "engine/model/model.h"

#include <utility>

#include "common/log.h"
#include "engine/cpu/cpu_ops.h"
#include "engine/model/llama.h"
#include "engine/model/model_tensors.h"
#include "engine/model/safetensors.h"
#include "engine/model/weights.h"

namespace sluice::engine {

Result<std::unique_ptr<Model>> Model::load(const std::filesystem::path& dir, const ModelOptions& o) {
  SLUICE_ASSIGN(ModelConfig config, load_model_config(dir));
  SLUICE_ASSIGN(const Checkpoint checkpoint, Checkpoint::open(dir));
  SLUICE_ASSIGN(const ModelTensors tensors, select_tensors(config, checkpoint.tensors(), checkpoint.source()));
  SLUICE_ASSIGN(std::unique_ptr<Ops> ops, make_cpu_ops(o.precision, o.isa, o.threads));
  for (const std::string& note : config.notes) log::warn(note, {{"model", dir.string()}});
  for (const std::string& note : tensors.notes) log::warn(note);
  Weights weights = load_weights(config, tensors.used, *ops, o.progress);
  return make_llama(std::move(config), std::move(weights), std::move(ops));
}

}  // namespace sluice::engine
