#pragma once
// The `loop` of a for statement: where it is, what comes next. It looks ahead only when it is asked to, since the items
// may come from an iterator or depend on what the body changes.
#include "text/jinja/iterate.h"

namespace sluice::text::jinja {

struct ForStmt;

class LoopState {
 public:
  using Pull = std::function<std::optional<Value>()>;

  /// `recursive`: the statement and the scope that loop(...) runs again; null if it may not.
  LoopState(Pull pull, std::optional<std::size_t> size, std::uint32_t depth0, const ForStmt* recursive, Scope* scope)
      : pull_(std::move(pull)), size_(size), depth0_(depth0), recursive_(recursive), scope_(scope) {}

  /// On to the next item; null at the end.
  [[nodiscard]] std::optional<Value> next();
  /// The statement has ended: nothing is pulled any more, and loop(...) is refused.
  void end() noexcept {
    pull_ = nullptr;
    recursive_ = nullptr;
    scope_ = nullptr;
  }

  [[nodiscard]] std::optional<Value> attribute(std::string_view name);
  /// The name of a method of it, living on; null if it has none such.
  [[nodiscard]] std::optional<std::string_view> method(std::string_view name) const;
  [[nodiscard]] Value call(std::string_view method, const Args& args, Budget& budget);

  /// "2/3"
  [[nodiscard]] std::string position() { return fmt::format("{}/{}", taken_, size()); }
  [[nodiscard]] const ForStmt* recursive() const noexcept { return recursive_; }
  [[nodiscard]] Scope* scope() const noexcept { return scope_; }
  [[nodiscard]] std::uint32_t depth0() const noexcept { return depth0_; }

 private:
  bool peek();
  std::size_t size();

  Pull pull_;
  std::optional<std::size_t> size_;
  std::vector<Value> ahead_;  // looked at already; from head_ on
  std::size_t head_ = 0;
  std::size_t taken_ = 0;  // items that next() gave
  std::optional<Value> before_, now_;
  std::uint32_t depth0_;
  const ForStmt* recursive_;
  Scope* scope_;
  std::optional<std::vector<Value>> changed_;  // what loop.changed() saw last
};

}  // namespace sluice::text::jinja
