#include "engine/policy/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/policy/philox.h"

namespace sluice::engine {

namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();
constexpr double kMinTemperature = 0.01;  // as vLLM: below it, but not greedy, floats overflow

/// Token ids, most likely first, lowest id on ties: only as many as needed are ever put in order.
class Ranking {
 public:
  Ranking(std::span<const float> logits, std::span<const TokenId> ids)
      : logits_(logits), ids_(ids.begin(), ids.end()) {}

  /// Puts at least the first n in order, and returns all those in order so far.
  std::span<const TokenId> first(std::size_t n) {
    n = std::min(n, ids_.size());
    if (n > sorted_) {
      const auto begin = ids_.begin() + static_cast<std::ptrdiff_t>(sorted_);
      const auto end = ids_.begin() + static_cast<std::ptrdiff_t>(n);
      const auto before = [this](TokenId a, TokenId b) {
        const float x = logits_[static_cast<std::size_t>(a)];
        const float y = logits_[static_cast<std::size_t>(b)];
        return x > y || (x == y && a < b);
      };
      if (n < ids_.size()) std::nth_element(begin, end, ids_.end(), before);
      std::sort(begin, end, before);
      sorted_ = n;
    }
    return {ids_.data(), sorted_};
  }

  [[nodiscard]] float logit(TokenId t) const { return logits_[static_cast<std::size_t>(t)]; }
  [[nodiscard]] std::size_t size() const { return ids_.size(); }

 private:
  std::span<const float> logits_;
  std::vector<TokenId> ids_;
  std::size_t sorted_ = 0;
};

/// Unnormalised probability at a temperature, relative to the most likely token, so that it cannot overflow.
struct Weight {
  double top;
  double inv_temperature;
  double operator()(float logit) const { return std::exp((static_cast<double>(logit) - top) * inv_temperature); }
};

constexpr std::size_t kFirstRanks = 64;

/// How many of the ranking stay under top_k; tokens tied with the k-th stay too, as in vLLM.
std::size_t keep_top_k(Ranking& ranking, std::size_t k) {
  if (k >= ranking.size()) return ranking.size();
  std::size_t kept = k;
  auto ids = ranking.first(k);
  const float last = ranking.logit(ids[k - 1]);
  for (std::size_t ranks = std::max(kFirstRanks, 2 * k);; ranks *= 4) {
    ids = ranking.first(ranks);
    while (kept < ids.size() && ranking.logit(ids[kept]) == last) ++kept;
    if (kept < ids.size() || kept == ranking.size()) return kept;
  }
}

/// The shortest prefix of the ranking with at least `p` of the mass of its first `kept`.
std::size_t keep_top_p(Ranking& ranking, std::size_t kept, double mass, double p, const Weight& weight) {
  double sum = 0;
  std::size_t i = 0;
  for (std::size_t ranks = kFirstRanks;; ranks *= 4) {
    const auto ids = ranking.first(std::min(ranks, kept));
    for (const std::size_t n = std::min(ids.size(), kept); i < n;) {
      sum += weight(ranking.logit(ids[i]));
      ++i;
      if (sum >= p * mass) return i;
    }
    if (i >= kept) return kept;
  }
}

TokenId argmax(std::span<const float> logits) {
  return static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin());
}

}  // namespace

Sampler::Sampler(SamplingParams params, SamplerContext context, std::span<const TokenId> prompt)
    : params_(std::move(params)), context_(std::move(context)), seed_(params_.seed.value_or(context_.fallback_seed)) {
  if (params_.repetition_penalty != 1.0) prompt_set_.insert(prompt.begin(), prompt.end());
}

Result<Sampler> Sampler::create(SamplingParams params, SamplerContext context, std::span<const TokenId> prompt) {
  SLUICE_TRY(params.validate());
  if (context.vocab == 0) return fail(Errc::invalid_argument, "a sampler needs a vocabulary");
  const auto inside = [&](TokenId t) { return t >= 0 && static_cast<std::uint32_t>(t) < context.vocab; };
  for (const auto& [token, bias] : params.logit_bias)
    if (!inside(token))
      return fail_param("logit_bias", "token {} is outside the vocabulary of {}", token, context.vocab);
  for (const TokenId t : params.stop_token_ids)
    if (!inside(t)) return fail_param("stop_token_ids", "token {} is outside the vocabulary of {}", t, context.vocab);
  for (const TokenId t : prompt)
    if (!inside(t)) return fail_param("prompt", "token {} is outside the vocabulary of {}", t, context.vocab);
  return Sampler(std::move(params), std::move(context), prompt);
}

Result<Sampled> Sampler::sample(std::span<const float> logits) const {
  if (logits.size() != context_.vocab)
    return fail(Errc::internal, "{} logits for a vocabulary of {}", logits.size(), context_.vocab);
  SLUICE_TRY(check_logits(logits));
  Sampled out;
  if (adjusts()) {
    std::vector<float> adjusted(logits.begin(), logits.end());
    adjust(adjusted);
    if (!check_logits(adjusted))
      return fail_param("repetition_penalty", "the penalties and biases push the logits past what a float holds");
    SLUICE_ASSIGN(out.token, constraint_ ? choose_bound(adjusted) : choose(adjusted));
  } else {
    SLUICE_ASSIGN(out.token, constraint_ ? choose_bound(logits) : choose(logits));
  }
  if (params_.logprobs) add_logprobs(logits, out);
  return out;
}

void Sampler::bind(std::unique_ptr<TokenConstraint> constraint) {
  constraint_ = std::move(constraint);
  mask_.clear();
}

MaskWords Sampler::mask() const {
  if (!mask_.empty()) return mask_;
  mask_.resize(mask_words(context_.vocab));
  constraint_->fill(mask_);
  if (context_.vocab % 64 != 0) mask_.back() &= (std::uint64_t{1} << context_.vocab % 64) - 1;
  const bool early = output_tokens_ < params_.min_tokens;
  if (!early && constraint_->may_end())
    for (const TokenId t : params_.stop_token_ids) set_bit(mask_, t, true);
  if (!early && !params_.ignore_eos) return mask_;
  const auto allowed = mask_;
  for (const TokenId t : context_.eos_ids)
    if (known(t)) set_bit(mask_, t, false);
  if (early)
    for (const TokenId t : params_.stop_token_ids) set_bit(mask_, t, false);
  if (none(mask_)) mask_ = allowed;
  return mask_;
}

std::optional<TokenId> Sampler::forced() const { return constraint_ && !astray_ ? only(mask()) : std::nullopt; }

bool Sampler::adjusts() const noexcept {
  const bool early = !constraint_ && output_tokens_ < params_.min_tokens;  // else the mask has it
  return !params_.logit_bias.empty() || early || params_.repetition_penalty != 1.0 || params_.presence_penalty != 0.0 ||
         params_.frequency_penalty != 0.0;
}

void Sampler::adjust(std::span<float> logits) const {
  const auto at = [&](TokenId t) -> float& { return logits[static_cast<std::size_t>(t)]; };
  for (const auto& [token, bias] : params_.logit_bias) at(token) += static_cast<float>(std::clamp(bias, -100.0, 100.0));
  if (!constraint_ && output_tokens_ < params_.min_tokens) {
    for (const TokenId t : params_.stop_token_ids) at(t) = kMasked;
    for (const TokenId t : context_.eos_ids)
      if (known(t)) at(t) = kMasked;
  }
  const auto repeat = [&, r = static_cast<float>(params_.repetition_penalty)](TokenId t) {
    at(t) = at(t) > 0 ? at(t) / r : at(t) * r;
  };
  if (params_.repetition_penalty != 1.0) {
    for (const TokenId t : prompt_set_) repeat(t);
    for (const auto& [t, n] : output_count_)
      if (!prompt_set_.contains(t)) repeat(t);
  }
  for (const auto& [t, n] : output_count_)
    at(t) -= static_cast<float>(params_.frequency_penalty * n + params_.presence_penalty);
}

Result<TokenId> Sampler::choose(std::span<const float> logits) const {
  const TokenId best = argmax(logits);
  if (logits[static_cast<std::size_t>(best)] == kMasked)
    return fail(Errc::data_corrupt, "no token can be drawn: every logit is -inf");
  if (params_.greedy()) return best;
  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  return draw(logits, ids);
}

Result<TokenId> Sampler::choose_bound(std::span<const float> logits) const {
  if (astray_) return fail(Errc::internal, "token {} came although the grammar does not allow it there", last_);
  const MaskWords allowed = mask();
  if (none(allowed))
    return fail(Errc::unsupported,
                "no token of the model's vocabulary spells what the grammar wants after {} tokens of the answer",
                output_tokens_);
  const auto best = best_of(logits, allowed);
  if (!best) return fail(Errc::data_corrupt, "no token can be drawn: every logit that the grammar allows is -inf");
  return params_.greedy() ? *best : draw(logits, tokens_of(allowed));
}

/// ids: those that may be drawn, ascending; not all of them are masked.
TokenId Sampler::draw(std::span<const float> logits, std::span<const TokenId> ids) const {
  const auto logit = [&](TokenId t) { return logits[static_cast<std::size_t>(t)]; };
  const double top = logit(std::ranges::max(ids, {}, logit));
  const Weight weight{top, 1.0 / std::max(params_.temperature, kMinTemperature)};
  const double u = uniform_at(seed_, output_tokens_);
  const bool ranks = params_.top_k > 0 || params_.top_p < 1;

  std::vector<TokenId> kept;
  if (ranks) {
    Ranking ranking(logits, ids);
    std::size_t n = params_.top_k > 0 ? keep_top_k(ranking, static_cast<std::size_t>(params_.top_k)) : ranking.size();
    if (params_.top_p < 1) {
      double mass = 0;
      if (n == ranking.size()) {
        for (const TokenId t : ids) mass += weight(logit(t));
      } else {
        for (const TokenId t : ranking.first(n).first(n)) mass += weight(ranking.logit(t));
      }
      n = keep_top_p(ranking, n, mass, params_.top_p, weight);
    }
    const auto first = ranking.first(n).first(n);
    kept.assign(first.begin(), first.end());
    ids = kept;
  }

  std::vector<double> cumulative;
  cumulative.reserve(ids.size());
  double sum = 0;
  for (const TokenId t : ids) {
    const double w = weight(logit(t));
    sum += w >= params_.min_p ? w : 0;
    cumulative.push_back(sum);
  }
  // The first entry above u * sum owns a non-empty interval, so a masked token is never drawn; nor is one where
  // u * sum rounds up to sum, for then the first entry that reaches sum is taken.
  const auto it = std::min(std::ranges::upper_bound(cumulative, u * sum), std::ranges::lower_bound(cumulative, sum));
  return ids[static_cast<std::size_t>(it - cumulative.begin())];
}

void Sampler::add_logprobs(std::span<const float> logits, Sampled& out) const {
  const LogSoftmax log_softmax(logits);
  out.logprob = log_softmax(out.token);
  out.top_logprobs = log_softmax.top(*params_.logprobs);
}

void Sampler::accept(TokenId token) {
  ++output_tokens_;
  last_ = token;
  if (known(token)) ++output_count_[token];
  if (!constraint_) return;
  mask_.clear();
  // A stop token that only ends the answer is not part of its text.
  if (!constraint_->accept(token) && !stop_reason()) astray_ = true;
}

bool Sampler::is_eos(TokenId t) const noexcept {
  return std::ranges::find(context_.eos_ids, t) != context_.eos_ids.end();
}

std::optional<StopReason> Sampler::stop_reason() const noexcept {
  if (output_tokens_ > 0) {
    const bool late = output_tokens_ >= params_.min_tokens;
    // A constraint's text has no end token in it: one that came ended it.
    if ((constraint_ || (late && !params_.ignore_eos)) && is_eos(last_)) return StopReason::eos;
    if (late && std::ranges::find(params_.stop_token_ids, last_) != params_.stop_token_ids.end())
      return StopReason::stop_token;
  }
  if (constraint_ && constraint_->must_end()) return StopReason::complete;
  if (output_tokens_ > 0 && params_.max_tokens && output_tokens_ >= *params_.max_tokens) return StopReason::length;
  return std::nullopt;
}

}  // namespace sluice::engine
