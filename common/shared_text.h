#pragma once
// A text that many hold and nobody changes: copies share it. For what each leg of a request carries and is long.
// A value; copies may live on any thread. Empty: no text.
#include <memory>
#include <string>
#include <utility>

namespace sluice {

class SharedText {
 public:
  using rep = std::string;  // what it is in JSON (StrongName of common/json/reader.h)

  SharedText() = default;
  explicit SharedText(std::string text)
      : text_(text.empty() ? nullptr : std::make_shared<const std::string>(std::move(text))) {}

  [[nodiscard]] bool empty() const noexcept { return text_ == nullptr; }
  [[nodiscard]] const std::string& value() const noexcept {
    static const std::string none;
    return text_ ? *text_ : none;
  }
  friend bool operator==(const SharedText& a, const SharedText& b) {
    return a.text_ == b.text_ || a.value() == b.value();
  }

 private:
  std::shared_ptr<const std::string> text_;
};

}  // namespace sluice
