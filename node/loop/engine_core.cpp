#include "node/loop/engine_core.h"

#include <pthread.h>

#include <algorithm>

#include "common/log.h"

namespace sluice::node {

using engine::BlockHandle;

/// Each layer is a sign of life: a pass over long prompts may take long, and is no stall while its layers end.
class EngineCore::Pulsing final : public engine::LayerObserver {
 public:
  Pulsing(EngineCore& core, engine::LayerObserver* next) : core_(core), next_(next) {
    core_.turned();
    core_.computing_ = true;
  }
  ~Pulsing() override {
    core_.computing_ = false;
    core_.turned();
  }
  Pulsing(const Pulsing&) = delete;
  void on_layer(std::uint32_t layer) override {
    core_.turned();
    if (next_ != nullptr) next_->on_layer(layer);
  }

 private:
  EngineCore& core_;
  engine::LayerObserver* next_;
};

EngineCore::EngineCore(engine::Model& model, engine::KvPool& pool, const engine::PlanLimits& limits, bool caches)
    : model_(model),
      pool_(pool),
      limits_(limits),
      blocks_(pool.shape().num_blocks),
      scheduler_(blocks_, pool.shape().block_size) {
  if (caches) cache_.emplace(blocks_);
}

EngineCore::~EngineCore() { stop(); }

void EngineCore::start(std::function<void()> body) {
  thread_ = std::thread([body = std::move(body)] {
    (void)::pthread_setname_np(::pthread_self(), "engine");
    body();
  });
}

void EngineCore::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void EngineCore::release(const std::vector<BlockHandle>& blocks) {
  {
    Held held(*this);
    held.give_back(blocks);
  }
  wake();
}

TimePoint EngineCore::Held::next_arrival() noexcept {
  return TimePoint(Duration(static_cast<Duration::rep>(++core_.arrivals_)));
}

void EngineCore::Held::retain(std::span<const BlockHandle> blocks) {
  for (const BlockHandle& b : blocks)
    if (auto r = core_.blocks_.retain(b); !r) log::error("block not retained", {{"why", r.error().message}});
}

void EngineCore::Held::give_back(std::span<const BlockHandle> blocks) {
  for (const BlockHandle& b : blocks)
    if (auto r = core_.blocks_.release(b); !r) log::error("block release failed", {{"why", r.error().message}});
}

void EngineCore::Held::wait() {
  core_.wake_.wait(lock_);
  core_.turned();
}

PassPlan EngineCore::Held::plan() {
  core_.turned();
  engine::Plan plan = core_.scheduler_.plan(core_.limits_);
  PassPlan out{{}, std::move(plan.evictions), std::move(plan.returns)};
  for (const engine::Work& w : plan.work) {
    const auto view = core_.scheduler_.view(w.id);
    PassRow row{w, {view->tokens.begin() + w.first, view->tokens.begin() + w.first + w.count}, {}, nullptr};
    for (const BlockHandle& b : view->blocks) row.blocks.push_back(b.id);
    out.rows.push_back(std::move(row));
  }
  return out;
}

void EngineCore::Held::settle(const engine::Work& work, bool ran) {
  const auto settled = ran ? core_.scheduler_.commit(work) : core_.scheduler_.abandon(work);
  if (!settled) log::error("pass not settled", {{"leg", work.id}, {"why", settled.error().message}});
}

Result<> EngineCore::forward(std::span<const PassRow> rows, std::vector<float>& logits,
                             engine::LayerObserver* observer) {
  std::vector<engine::ForwardSeq> batch;
  std::size_t wanted = 0;
  for (const PassRow& r : rows) {
    batch.push_back({r.tokens, r.work.first, r.blocks, r.work.wants_logits, r.rows});
    wanted += r.work.wants_logits ? 1 : 0;
  }
  logits.resize(wanted * config().vocab_size);
  Pulsing pulsing(*this, observer);
  return model_.forward(batch, pool_, logits, &pulsing);
}

Result<> EngineCore::check_vocabulary(std::span<const TokenId> tokens) const {
  const auto bad = std::ranges::find_if(tokens, [this](TokenId t) { return !knows(t); });
  if (bad == tokens.end()) return {};
  return fail_param("tokens", "token id {} is not in the vocabulary of {}", *bad, config().vocab_size);
}

}  // namespace sluice::node
