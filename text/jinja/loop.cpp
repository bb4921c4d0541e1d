#include "text/jinja/loop.h"

#include "text/jinja/arguments.h"
#include "text/jinja/compare.h"

namespace sluice::text::jinja {

bool LoopState::peek() {
  if (head_ == ahead_.size() && pull_)
    if (auto v = pull_()) ahead_.push_back(*std::move(v));
  return head_ < ahead_.size();
}

std::size_t LoopState::size() {
  if (!size_) {
    while (auto v = pull_ ? pull_() : std::nullopt) ahead_.push_back(*std::move(v));
    size_ = taken_ + ahead_.size() - head_;
  }
  return *size_;
}

std::optional<Value> LoopState::next() {
  std::optional<Value> v;
  if (head_ < ahead_.size()) {
    v = std::move(ahead_[head_++]);
  } else {
    ahead_.clear();
    head_ = 0;
    v = pull_ ? pull_() : std::nullopt;
  }
  if (!v) return v;
  before_ = std::move(now_);
  now_ = v;
  ++taken_;
  return v;
}

std::optional<Value> LoopState::attribute(std::string_view name) {
  const auto i = static_cast<std::int64_t>(taken_) - 1;
  if (name == "index") return Value::integer(i + 1);
  if (name == "index0") return Value::integer(i);
  if (name == "first") return Value::boolean(i == 0);
  if (name == "last") return Value::boolean(!peek());
  if (name == "length") return Value::count(size());
  if (name == "revindex") return Value::integer(static_cast<std::int64_t>(size()) - i);
  if (name == "revindex0") return Value::integer(static_cast<std::int64_t>(size()) - i - 1);
  if (name == "depth") return Value::integer(depth0_ + 1);
  if (name == "depth0") return Value::integer(depth0_);
  if (name == "previtem") return before_ ? *before_ : Value::undefined("there is no previous item");
  if (name == "nextitem") return peek() ? ahead_[head_] : Value::undefined("there is no next item");
  return std::nullopt;
}

std::optional<std::string_view> LoopState::method(std::string_view name) const {
  if (name == "cycle") return "cycle";
  if (name == "changed") return "changed";
  return std::nullopt;
}

Value LoopState::call(std::string_view method, const Args& args, Budget& budget) {
  if (!args.keyword.empty()) fault("loop.{}() takes no named arguments", method);
  if (method == "cycle") {
    if (args.positional.empty()) fault("no items for cycling given");
    return args.positional[(taken_ - 1) % args.positional.size()];
  }
  bool same = changed_ && changed_->size() == args.positional.size();
  for (std::size_t i = 0; same && i < changed_->size(); ++i) same = equals((*changed_)[i], args.positional[i], budget);
  if (!same) changed_ = args.positional;
  return Value::boolean(!same);
}

}  // namespace sluice::text::jinja
