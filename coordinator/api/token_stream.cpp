#include "coordinator/api/token_stream.h"

#include <algorithm>

namespace sluice::coordinator {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)), matched_(stops_.size(), 0) {
  for (const auto& s : stops_) {
    std::vector<std::size_t> border(s.size() + 1, 0);
    for (std::size_t k = 1, b = 0; k < s.size(); ++k) {
      while (b > 0 && s[k] != s[b]) b = border[b];
      if (s[k] == s[b]) ++b;
      border[k + 1] = b;
    }
    borders_.push_back(std::move(border));
  }
}

std::optional<StopMatcher::Match> StopMatcher::feed(std::string_view text) {
  if (stops_.empty()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::optional<Match> best;
    for (std::size_t s = 0; s < stops_.size(); ++s) {
      auto& k = matched_[s];
      while (k > 0 && stops_[s][k] != text[i]) k = borders_[s][k];
      if (stops_[s][k] == text[i]) ++k;
      if (k < stops_[s].size()) continue;
      if (!best || k > best->length) best = Match{i + 1, k, s};
      k = borders_[s][k];
    }
    if (best) return best;
  }
  return std::nullopt;
}

std::size_t StopMatcher::undecided() const { return matched_.empty() ? 0 : *std::ranges::max_element(matched_); }

TokenStream::TokenStream(std::unique_ptr<Detokenizer> detokenizer, TokenStreamOptions options)
    : detokenizer_(std::move(detokenizer)),
      matcher_(std::move(options.stop)),
      include_stop_str_(options.include_stop_str),
      min_tokens_(options.min_tokens),
      keep_tokens_(options.keep_tokens),
      keep_ids_(options.keep_ids) {}

void TokenStream::add_text(std::string text, Delta& delta) {
  if (count_ <= min_tokens_) {
    delta.text += text;
    return;
  }
  auto match = matcher_.feed(text);
  if (!match) {
    held_ += text;
    std::size_t certain = held_.size() - matcher_.undecided();
    delta.text.append(held_, 0, certain);
    held_.erase(0, certain);
    return;
  }
  held_.append(text, 0, match->end);
  if (!include_stop_str_) held_.resize(held_.size() - match->length);
  delta.text += std::exchange(held_, {});
  delta.cancel = true;
  reason_ = FinishReason::stop;
  stop_reason_ = matcher_.stop(match->index);
}

TokenStream::Delta TokenStream::push(std::span<const TokenEvent> tokens) {
  Delta delta;
  for (const auto& t : tokens) {
    if (reason_) break;
    ++count_;
    if (keep_ids_) delta.ids.push_back(t.id);
    if (t.stop) stop_reason_ = t.id;
    if (t.stop && !include_stop_str_) continue;
    if (keep_tokens_) delta.tokens.push_back(t);
    add_text(detokenizer_->push(t.id), delta);
  }
  return delta;
}

TokenStream::Delta TokenStream::finish(LegEnd end) {
  Delta delta;
  if (reason_) return delta;
  add_text(detokenizer_->finish(), delta);
  delta.cancel = false;  // it has ended already
  delta.text += std::exchange(held_, {});
  if (!reason_)
    reason_ = end == LegEnd::stop     ? FinishReason::stop
              : end == LegEnd::length ? FinishReason::length
                                      : FinishReason::aborted;
  return delta;
}

}  // namespace sluice::coordinator
