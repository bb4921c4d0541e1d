#pragma once
// Names bound in one block of a template. Look-up goes outwards; assignment never does, as in Jinja.
#include <algorithm>
#include <unordered_map>

#include "text/jinja/ast.h"

namespace sluice::text::jinja {

struct Scope {
  Scope* outer = nullptr;
  std::vector<std::pair<std::uint32_t, Value>> names{};
  std::unique_ptr<std::unordered_map<std::uint32_t, std::size_t>> index{};  // of many names

  [[nodiscard]] Value* here(std::uint32_t id) {
    if (index) {
      const auto it = index->find(id);
      return it == index->end() ? nullptr : &names[it->second].second;
    }
    const auto it = std::ranges::find(names, id, &std::pair<std::uint32_t, Value>::first);
    return it == names.end() ? nullptr : &it->second;
  }

  [[nodiscard]] Value* find(std::uint32_t id, Budget& budget) {
    std::uint64_t visited = 0;
    for (Scope* s = this; s != nullptr; s = s->outer, ++visited)
      if (Value* v = s->here(id)) return v;
    budget.step(visited / 8);
    return nullptr;
  }

  void set(std::uint32_t id, Value v) {
    if (Value* old = here(id)) {
      *old = std::move(v);
      return;
    }
    names.emplace_back(id, std::move(v));
    constexpr std::size_t kIndexedFrom = 12;
    if (index) {
      index->emplace(id, names.size() - 1);
    } else if (names.size() == kIndexedFrom) {
      index = std::make_unique<std::unordered_map<std::uint32_t, std::size_t>>();
      for (std::size_t i = 0; i < names.size(); ++i) index->emplace(names[i].first, i);
    }
  }

  void clear() {
    names.clear();
    index.reset();
  }
};

}  // namespace sluice::text::jinja
