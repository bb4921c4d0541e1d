#include "text/jinja/globals.h"

#include <algorithm>

#include "text/jinja/iterate.h"

namespace sluice::text::jinja {

Value make_range(const Args& args, Budget& budget) {
  const std::size_t n = args.positional.size();
  if (n < 1 || n > 3 || !args.keyword.empty()) fault("range expected 1 to 3 integers, got {} arguments", n);
  List out{.items = {}, .kind = ListKind::range, .range = {0, 0, 1}};
  for (std::size_t i = 0; i < n; ++i) {
    refuse_undefined(args.positional[i]);
    if (!args.positional[i].as_int())
      fault("'{}' object cannot be interpreted as an integer", args.positional[i].type_name());
    out.range[n == 1 ? 1 : i] = *args.positional[i].as_int();
  }
  const auto [start, stop, step] = out.range;
  if (step == 0) fault("range() arg 3 must not be zero");
  constexpr std::size_t kMaxRange = 100000;  // as Jinja's sandbox
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (out.items.size() == kMaxRange)
      fault("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kMaxRange);
    out.items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  budget.memory(out.items.size() * sizeof(Value) + 64);
  return Value(std::make_shared<const List>(std::move(out)));
}

Dict make_dict(std::string_view function, const Args& args, Budget& budget) {
  Dict d;
  if (args.positional.size() > 1) fault("{} expected at most 1 argument, got {}", function, args.positional.size());
  if (args.positional.size() == 1) {
    const Value& from = args.positional[0];
    refuse_undefined(from);
    if (from.dict() != nullptr) {
      budget.step(from.dict()->size());
      d = *from.dict();
    } else {
      Cursor pairs(from, budget);
      while (const auto pair = pairs.next()) {
        if (!iterable(*pair)) fault("cannot convert a dictionary update sequence element to a sequence");
        std::vector<Value> kv = iterate(*pair, budget);
        if (kv.size() != 2) fault("dictionary update sequence element has length {}; 2 is required", kv.size());
        d.set(std::move(kv[0]), std::move(kv[1]), budget);
      }
    }
  }
  for (const auto& [name, value] : args.keyword) d.set(name, value, budget);
  return d;
}

Value make_cycler(const Args& args, Budget& budget) {
  if (args.positional.empty()) fault("at least one item has to be provided");
  Cycler c{.items = args.positional};
  for (const Value& v : c.items) c.depth = std::max(c.depth, v.depth() + 1);
  budget.memory(64 + c.items.size() * sizeof(Value));
  if (c.depth > budget.limits().max_nesting) fault("a value nests deeper than {} levels", budget.limits().max_nesting);
  return Value(std::make_shared<Cycler>(std::move(c)));
}

Value make_joiner(const Args& args, Budget& budget) {
  const Params p("joiner", args, {"sep"});
  Value separator = p.get(0) != nullptr ? *p.get(0) : Value::string(", ", budget);
  if (separator.depth() + 1 > budget.limits().max_nesting)
    fault("a value nests deeper than {} levels", budget.limits().max_nesting);
  budget.memory(sizeof(Joiner));
  return Value(std::make_shared<const Callable>(Callable{std::make_shared<Joiner>(Joiner{std::move(separator)})}));
}

Value call_cycler(Cycler& c, std::string_view method) {
  if (method == "reset") {
    c.at = 0;
    return Value::none();
  }
  Value v = c.items[c.at];
  c.at = (c.at + 1) % c.items.size();
  return v;
}

Value call_joiner(Joiner& j, Budget& budget) {
  if (j.used) return j.separator;
  j.used = true;
  return Value::string("", budget);
}

}  // namespace sluice::text::jinja
