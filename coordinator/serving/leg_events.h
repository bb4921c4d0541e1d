#pragma once
// What nodes tell of legs: tokens, reports and ends. Moves each leg along and writes its Figures and its Answer.
// Threading: the coordinator's io_context thread. Failure: messages that cannot be read, that name no leg, or that are
// of an earlier attempt are dropped (logged where they are wrong); a node's error has the leg placed again.
#include <nlohmann/json.hpp>

#include "coordinator/serving/fingerprint_memo.h"
#include "coordinator/serving/leg_moves.h"

namespace sluice::coordinator {

class LegEvents {
 public:
  struct Uses {
    LegTable& legs;
    LegAccount& account;
    KvChanges& changes;
    LegPlacer& placer;
    LegMoves& moves;
    LegEndings& endings;
    ServingMetrics& figures;
    const Clock& clock;
  };
  explicit LegEvents(const Uses& u) : use_(u) {}

  void on_tokens(const NodeId& node, const control::Tokens& m);
  /// False: a message of another kind.
  bool on_event(const NodeId& node, const std::string& type, const nlohmann::json& body);

 private:
  void on_token(const SessionPtr& s, const control::Tokens::Item& item, TimePoint now);
  void on_prompt_logprobs(const NodeId& node, const control::PromptLogprobs& m);
  void on_prefill_done(const NodeId& node, const control::PrefillDone& m);
  void on_kv_ready(const NodeId& node, control::KvReady m);
  void on_finished(const NodeId& node, const control::Finished& m);
  void on_halted(const NodeId& node, const control::Halted& m) { use_.moves.on_halted(node, m); }
  void on_moved(const NodeId& node, const control::Moved& m) { use_.moves.on_moved(node, m); }

  Uses use_;
  FingerprintMemo fingerprints_;
};

}  // namespace sluice::coordinator
