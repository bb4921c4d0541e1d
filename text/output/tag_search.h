#pragma once
// Finds the first of a few tags in a text that comes byte by byte, and holds back what may yet turn out to begin one.
// No tag begins another. Pure logic; a value.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::text::output {

class TagSearch {
 public:
  explicit TagSearch(std::vector<std::string_view> tags) : tags_(std::move(tags)) {}

  /// True: this byte completed a tag, and nothing is held. What is surely of none is appended to `plain`.
  [[nodiscard]] bool push(char c, std::string& plain) {
    held_ += c;
    while (!held_.empty() && !begins_one()) {
      plain += held_.front();
      held_.erase(0, 1);
    }
    if (std::ranges::find(tags_, held_) == tags_.end()) return false;
    tag_ = std::exchange(held_, {});
    return true;
  }
  /// What push() found last.
  [[nodiscard]] const std::string& tag() const { return tag_; }
  /// What is held back; it is given up.
  [[nodiscard]] std::string take() { return std::exchange(held_, {}); }

 private:
  [[nodiscard]] bool begins_one() const {
    return std::ranges::any_of(tags_, [this](std::string_view t) { return t.starts_with(held_); });
  }
  std::vector<std::string_view> tags_;  // literals
  std::string held_, tag_;
};

}  // namespace sluice::text::output
