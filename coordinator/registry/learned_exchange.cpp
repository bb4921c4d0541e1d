#include "coordinator/registry/learned_exchange.h"

#include "common/etcd/registry.h"
#include "common/json/parse.h"
#include "common/log.h"
#include "common/random_id.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr std::int64_t kPage = 2;  // parts in one answer
constexpr std::size_t kMostText = LearnedExchange::kPart * LearnedExchange::kMostParts;

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// "WRITING PARTS\n" before a part's text: which writing it is of, and how many parts that has.
struct Part {
  std::string writing;
  std::size_t parts = 0;
  std::string_view text;
};

std::optional<Part> read_part(std::string_view value) {
  const auto line = value.find('\n');
  const auto space = value.find(' ');
  if (line == std::string_view::npos || space > line || line > 40) return std::nullopt;
  const json parts = json::parse(value.substr(space + 1, line - space - 1), nullptr, false);
  if (!parts.is_number_unsigned()) return std::nullopt;
  return Part{std::string(value.substr(0, space)), parts.get<std::size_t>(), value.substr(line + 1)};
}

}  // namespace

LearnedExchange::LearnedExchange(boost::asio::io_context& io, etcd::Client& client, const std::string& cluster,
                                 std::string me, Uses uses)
    : client_(client), prefix_(etcd::learned_prefix(cluster)), me_(std::move(me)), use_(std::move(uses)), timer_(io) {}

void LearnedExchange::stop() {
  stopped_ = true;
  timer_.cancel();
}

void LearnedExchange::turn() {
  client_.range(
      etcd::KeyRange::prefix(prefix_),
      [this](const Result<etcd::RangeAnswer>& r) {
        if (stopped_) return;
        if (!r) return next_turn(std::unexpected(r.error()));
        take(texts_of(r->keys), unix_seconds());
        write();
      },
      kPage);
}

void LearnedExchange::next_turn(const Result<>& r) {
  if (!r && !std::exchange(in_trouble_, true)) log::warn("learned state not exchanged", {{"why", r.error().message}});
  if (r) {
    in_trouble_ = false;
    ++turns_;
  }
  timer_.expires_after(kEvery);
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](boost::system::error_code ec) {
    if (!ec && !alive.expired() && !stopped_) turn();
  });
}

LearnedExchange::Texts LearnedExchange::texts_of(const std::vector<etcd::KeyValue>& keys) const {
  struct Gathered {
    std::string writing, text;
    std::size_t parts = 0, wanted = 0;
  };
  std::map<std::string, Gathered> all;
  for (const etcd::KeyValue& k : keys) {  // in order: part after part
    const auto slash = k.key.rfind('/');
    const std::string id =
        slash > prefix_.size() ? k.key.substr(prefix_.size(), slash - prefix_.size()) : std::string();
    const auto part = read_part(k.value);
    if (id.empty() || id == me_ || !part) continue;
    Gathered& g = all[id];
    if (g.parts == 0) g.writing = part->writing;
    if (part->writing != g.writing) continue;
    ++g.parts;
    g.wanted = part->parts;
    g.text += part->text;
  }
  Texts out;
  for (auto& [id, g] : all)
    if (g.parts == g.wanted) out.emplace(id, std::move(g.text));
  return out;
}

void LearnedExchange::take(const Texts& texts, double now) {
  const json state = use_.state();
  version_ = state.value("policy", json()).value("version", json());
  outputs_ = state.value("outputs", json());
  LearnedEntries theirs;
  std::vector<json> outputs;
  for (const auto& [id, text] : texts) {
    const auto j = parse_json_object(text, {.what = "a learned state", .max_bytes = kMostText});
    if (!j) {
      log::warn("a learned state in the registry is damaged", {{"coordinator", id}, {"why", j.error().message}});
      continue;
    }
    if (j->value("version", json()) != version_) continue;  // of another program: its figures mean something else
    theirs = merged(std::move(theirs), parse_learned(j->value("entries", json()), now));
    if (j->contains("outputs")) outputs.push_back((*j)["outputs"]);
  }
  mine_ = stamped(entries_of(state, now, me_), mine_);
  const LearnedEntries taken = worth_taking(mine_, theirs);
  if (!taken.empty()) {
    use_.take(state_of(taken));
    // Whose they are and how old stays with them, else they would come back as news of ours.
    for (const auto& [key, e] : taken) mine_[key] = e;
    log::debug("learned from other coordinators", {{"entries", taken.size()}});
  }
  use_.borrow(outputs);
}

void LearnedExchange::write() {
  const auto ready = [this] {
    if (stopped_) return;
    const std::string text = json{{"version", version_}, {"entries", to_json(mine_)}, {"outputs", outputs_}}.dump(
        -1, ' ', false, json::error_handler_t::replace);
    const std::size_t parts = text.size() / kPart + 1;
    if (parts > kMostParts)
      return next_turn(fail(Errc::resource_exhausted, "{} bytes are too much to share", text.size()));
    const std::string writing = fmt::format("{:016x}", random_incarnation());
    auto writes = std::make_shared<std::vector<etcd::Write>>();
    for (std::size_t i = 0; i < parts; ++i)
      writes->push_back({fmt::format("{}{}/{:02}", prefix_, me_, i),
                         fmt::format("{} {}\n", writing, parts) + text.substr(i * kPart, kPart), lease_});
    for (std::size_t i = parts; i < written_; ++i)
      writes->push_back({fmt::format("{}{}/{:02}", prefix_, me_, i), std::nullopt});
    written_ = parts;
    write_part(writes, 0);
  };
  const auto renewed = [this, ready](const Result<etcd::LeaseId>& lease) {
    if (!lease) return next_turn(std::unexpected(lease.error()));
    lease_ = *lease;
    ready();
  };
  if (lease_ == 0) return client_.grant(kOutlives, renewed);
  client_.keep_alive(lease_, [this, ready, renewed](const Result<>& r) {
    if (r) return ready();
    if (r.error().code != Errc::not_found) return next_turn(r);
    client_.grant(kOutlives, renewed);
  });
}

void LearnedExchange::write_part(std::shared_ptr<std::vector<etcd::Write>> parts, std::size_t i) {
  if (i == parts->size()) return next_turn({});
  client_.commit({{}, {(*parts)[i]}}, [this, parts, i](const Result<etcd::TxnAnswer>& r) {
    if (stopped_) return;
    if (!r) return next_turn(std::unexpected(r.error()));
    write_part(parts, i + 1);
  });
}

}  // namespace sluice::coordinator
