#pragma once
// The serving room as the operator's surface sees it: admin's views over Serving. Borrows it; holds nothing.
// Threading: the coordinator's io_context thread.
#include "coordinator/admin/admin_views.h"
#include "coordinator/registry/shared_registry.h"
#include "coordinator/serving/serving.h"

namespace sluice::coordinator {

class OperatorViews final : public StatusView,
                            public NodesView,
                            public RolesView,
                            public SloView,
                            public DecisionsView,
                            public CoordinatorsView {
 public:
  explicit OperatorViews(Serving& serving) : serving_(serving) {}
  /// Who this coordinator is, once it listens. shared: null where it is alone.
  void introduce(Member me, const SharedRegistry* shared) {
    me_ = std::move(me);
    shared_ = shared;
  }
  [[nodiscard]] AdminViews views() { return {*this, *this, *this, *this, *this, *this}; }

  [[nodiscard]] ServiceStatus status() const override;
  [[nodiscard]] const ClusterView& cluster() const override { return serving_.view(); }
  [[nodiscard]] const QualityWatch& quality() const override { return serving_.quality(); }
  [[nodiscard]] Result<> drain(const NodeId& node, bool force) override { return serving_.drain_node(node, force); }
  void change_role(const NodeId& node, control::Role to, bool force, RolesView::Done done) override {
    serving_.roles().change(node, to, force, std::move(done));
  }
  [[nodiscard]] std::optional<control::Role> becomes(const NodeId& node) const override {
    return serving_.roles().becomes(node);
  }
  [[nodiscard]] nlohmann::json roles() const override { return serving_.roles().status(); }
  void migrate(const std::string& request, const NodeId& node,
               std::function<void(Result<nlohmann::json>)> done) override {
    serving_.migrate(request, node, std::move(done));
  }
  [[nodiscard]] const SloBook& slos() const override { return serving_.slos().book(); }
  void change_slo(const std::string& name, const nlohmann::json& settings, const std::string& who,
                  SloView::Done done) override {
    serving_.slos().request_change(name, settings, who, std::move(done));
  }
  void remove_slo(const std::string& name, const std::string& who, SloView::Done done) override {
    serving_.slos().request_remove(name, who, std::move(done));
  }
  [[nodiscard]] Result<nlohmann::json> explain_slo(const std::string& name) override {
    return serving_.slos().explain(name);
  }
  [[nodiscard]] nlohmann::json decisions(std::uint64_t after, std::size_t limit) const override {
    return serving_.decisions().since(after, limit);
  }
  [[nodiscard]] nlohmann::json totals() const override { return serving_.decisions().totals().to_json(); }

  [[nodiscard]] nlohmann::json coordinators() const override;

 private:
  Serving& serving_;
  Member me_;
  const SharedRegistry* shared_ = nullptr;
};

}  // namespace sluice::coordinator
