#pragma once
// SLO classes as all coordinators share them: one key a class, changed by transactions on its revision, taken over by
// whoever watches. A write is confirmed before it is answered; while etcd cannot be reached none is taken, since
// nobody else would hear of it.
//
// An etcd without settings (a new one, or one that lost its data) is given those of a coordinator. An heir, which took
// part in settings before, does it at once, and once more over a newcomer who was faster and had nothing but flags;
// classes that a person has changed in between stay. So what was set survives an etcd that comes back empty, as long as
// one coordinator does. Threading: one io_context thread.
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/etcd/watch.h"
#include "coordinator/policy/slo_store.h"

namespace sluice::coordinator {

class SharedSettings final : public SloStore {
 public:
  struct Uses {
    /// All classes as they are here: {"NAME": {...}}.
    std::function<nlohmann::json()> classes;
    /// Takes over exactly these.
    std::function<void(const nlohmann::json& classes)> take_over;
    std::function<bool()> in_touch;
  };
  static constexpr std::chrono::seconds kNewcomerWaits{3};  // for an heir

  SharedSettings(boost::asio::io_context& io, etcd::Client& client, const std::string& cluster, std::string me,
                 Uses uses);
  ~SharedSettings() override { stop(); }
  void stop();
  void on_keys(const etcd::Watch::Keys& keys);

  void put(const std::string& name, const nlohmann::json& slo, Done done) override;
  void remove(const std::string& name, Done done) override;

 private:
  void seed(bool heir);
  void overrule(const etcd::Watch::Keys& keys, const etcd::KeyValue& mark);
  void apply(const etcd::Watch::Keys& keys);
  void write(const std::string& name, std::optional<nlohmann::json> slo, Done done);
  void refresh(const std::string& name, std::function<void()> then);
  [[nodiscard]] etcd::Write mark(bool heir) const;

  etcd::Client& client_;
  const std::string mark_key_, prefix_;
  const std::string me_;
  Uses use_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  std::string mark_;                               // of the settings that are in force; empty: none were shared yet
  std::map<std::string, std::int64_t> revisions_;  // of each class's key
  nlohmann::json known_;                           // the classes in etcd, as known last
  bool seeding_ = false, waits_ = false;
};

}  // namespace sluice::coordinator
