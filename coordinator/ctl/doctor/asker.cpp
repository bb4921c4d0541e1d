#include "coordinator/ctl/doctor/asker.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <thread>

#include "coordinator/ctl/views.h"

namespace sluice::ctl::doctor {
namespace {

using nlohmann::json;

constexpr auto kPatience = std::chrono::minutes(2);  // without any progress

double ms_between(Asker::Clock::time_point a, Asker::Clock::time_point b) {
  return std::chrono::duration<double, std::milli>(b - a).count();
}

/// The chunk that only says why an answer ended.
bool is_bare_end(const json& choice) {
  if (!choice.is_object()) return true;
  const auto text = choice.find("text");
  const auto reason = choice.find("finish_reason");
  const bool empty = text == choice.end() || !text->is_string() || text->get_ref<const std::string&>().empty();
  return empty && reason != choice.end() && !reason->is_null();
}

}  // namespace

double Answer::tpot_ms() const {
  return gaps_ms.empty() ? 0
                         : std::accumulate(gaps_ms.begin(), gaps_ms.end(), 0.0) / static_cast<double>(gaps_ms.size());
}

double median(std::vector<double> v) {
  if (v.empty()) return 0;
  std::ranges::sort(v);
  const std::size_t half = v.size() / 2;
  return v.size() % 2 == 1 ? v[half] : (v[half - 1] + v[half]) / 2;
}

Result<Asker> Asker::look_at(const Endpoint& e) {
  Asker a;
  a.e_ = e;
  SLUICE_ASSIGN(const json models, get(e, "/v1/models"));
  const json data = list(models, "data");
  if (data.empty() || !data.front().is_object()) return fail(Errc::unavailable, "{} serves no model", e.address);
  a.model_ = word(data.front(), "id");
  a.max_len_ = static_cast<std::uint64_t>(std::clamp(number(data.front(), "max_model_len"), 1.0, 1e9));
  // Pairs of letters: ordinary tokens in any vocabulary, none of them special.
  std::string text;
  for (char x = 'a'; x <= 'z'; ++x)
    for (char y = 'a'; y <= 'z'; ++y) text += std::string{' ', x, y};
  SLUICE_ASSIGN(const json found, send(e, "POST", "/tokenize", {{"prompt", text}, {"add_special_tokens", false}}));
  std::set<std::uint32_t> ids;
  for (const auto& id : list(found, "tokens"))
    if (id.is_number_unsigned()) ids.insert(id.get<std::uint32_t>());
  a.tokens_.assign(ids.begin(), ids.end());
  if (a.tokens_.empty()) return fail(Errc::data_corrupt, "{} tokenizes nothing", e.address);
  a.seed_ = (std::uint64_t{std::random_device{}()} << 32U) | std::random_device{}();
  return a;
}

json Asker::body(const Question& q) const {
  std::mt19937_64 random(seed_++);
  json prompt = json::array();
  for (std::uint64_t k = 0; k < q.prompt_tokens; ++k) prompt.push_back(tokens_[random() % tokens_.size()]);
  json sluice{{"explain", true}};
  if (!q.mode.empty()) sluice["mode"] = q.mode;
  return {{"model", model_},
          {"prompt", std::move(prompt)},
          {"max_tokens", q.output_tokens},
          {"temperature", 0},
          {"ignore_eos", true},
          {"stream", true},
          {"sluice", std::move(sluice)}};
}

std::string Asker::last_cancelled_on() const {
  for (int attempt = 0; attempt < 20; ++attempt) {
    const auto recent = get(e_, "/sluice/v1/decisions?limit=4");
    if (!recent) return {};
    const json all = list(*recent, "decisions");
    for (auto d = all.rbegin(); d != all.rend(); ++d)
      if (word(*d, "outcome") == "cancelled") return word(*d, "decode_node");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return {};
}

Result<Answer> Asker::ask(const Question& q, const std::function<bool(Clock::time_point)>& on_token) const {
  Answer a;
  const json b = body(q);
  const auto sent = Clock::now();
  auto last = sent;
  bool first = true;
  bool hung_up = false;
  const auto ended = post_stream(e_, "/v1/completions", b, kPatience, [&](const json& event) {
    if (const auto s = event.find("sluice"); s != event.end() && s->is_object()) a.explained = *s;
    const auto choices = event.find("choices");
    if (choices == event.end() || !choices->is_array() || choices->empty()) return true;
    if (is_bare_end(choices->front())) return true;
    const auto now = Clock::now();
    if (first)
      a.ttft_ms = ms_between(sent, now);
    else
      a.gaps_ms.push_back(ms_between(last, now));
    first = false;
    last = now;
    hung_up = on_token && !on_token(now);
    return !hung_up;
  });
  if (!ended && !hung_up) return std::unexpected(ended.error());
  if (first) return fail(Errc::data_corrupt, "the answer holds no token");
  return a;
}

}  // namespace sluice::ctl::doctor
