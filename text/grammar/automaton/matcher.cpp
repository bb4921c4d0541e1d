#include "text/grammar/matcher.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "text/grammar/automaton/compiled.h"

namespace sluice::text::grammar {

struct Matcher::State {
  explicit State(std::shared_ptr<const Automaton> a) : automaton(std::move(a)), compiled(automaton->impl_->compiled) {
    stepper.use(compiled.network());
    stepper.open(stacks, now);
  }

  bool read(std::string_view bytes);
  void collect();
  void fill_alone(std::span<std::uint64_t> bits);
  void fill_together(std::span<std::uint64_t> bits);
  [[nodiscard]] bool crowded() const;
  void add_behind(const PlaceMask& mask, std::span<const Thread> from, std::span<std::uint64_t> bits,
                  std::size_t& work);
  [[nodiscard]] std::shared_ptr<const Behind> find_behind(const PlaceMask& mask, std::span<const Thread> from);
  struct Effort {
    std::size_t work = 0;
    bool complete = true;  // nothing was left out
  };
  template <class Met>
  Effort walk_behind(const PlaceMask& mask, Room room, std::span<const Thread> from, std::size_t work,
                     std::vector<FrameIndex>* list, Met&& met);

  std::shared_ptr<const Automaton> automaton;
  const Compiled& compiled;
  Stacks stacks;
  Stepper stepper;
  ThreadSet now, next, other;  // the last two: scratch
  struct Group {               // threads that have one mask
    std::shared_ptr<const PlaceMask> mask;
    Room room;
    std::span<const Thread> threads;
  };
  std::vector<Group> groups;  // scratch
  bool ended = false;
  std::size_t frames_kept = 0;
  std::vector<Thread> together;  // the last threads that were filled together, and their mask
  std::vector<std::uint64_t> together_bits;
};

namespace {

void set(std::span<std::uint64_t> bits, TokenId id) {
  bits[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (static_cast<unsigned>(id) % 64);
}

/// Frames that a walk pushes go when it is over.
class Borrowed {
 public:
  explicit Borrowed(Stacks& s) : stacks_(s), mark_(s.mark()) {}
  ~Borrowed() { stacks_.release(mark_); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

 private:
  Stacks& stacks_;
  FrameIndex mark_;
};

}  // namespace

bool Matcher::State::read(std::string_view bytes) {
  const auto mark = stacks.mark();
  std::span<const Thread> from = now.threads;
  auto* to = &next;
  auto* spare = &other;
  for (const char c : bytes) {
    stepper.step(from, static_cast<std::uint8_t>(c), stacks, *to);
    if (to->dead()) {
      stacks.release(mark);
      return false;
    }
    from = to->threads;
    std::swap(to, spare);
  }
  if (!bytes.empty()) std::swap(now, *spare);
  collect();
  return true;
}

void Matcher::State::collect() {
  constexpr std::size_t kSlack = 1024;
  if (stacks.size() < 2 * frames_kept + kSlack) return;
  std::vector<FrameIndex*> live;
  for (auto& t : now.threads) live.push_back(&t.frame);
  stacks.collect(live);
  together.clear();  // it named other frames
  frames_kept = stacks.size();
}

/// So many places, and such, that their masks one by one would take long.
bool Matcher::State::crowded() const {
  constexpr std::uint64_t kWalks = 3;  // through the whole tree
  std::uint64_t weight = 0;
  for (std::size_t i = 0; i < now.threads.size(); ++i)
    if (i == 0 || !compiled.same_mask(now.threads[i], now.threads[i - 1]))
      weight += compiled.weight(now.threads[i].place);
  return weight > kWalks * compiled.vocabulary().trie().size();
}

void Matcher::State::fill_alone(std::span<std::uint64_t> bits) {
  const auto threads = std::span<const Thread>(now.threads);
  groups.clear();
  std::size_t largest = 0;
  std::size_t made = 0;  // work, whoever did it: the mask is the same for the first who asks and for later ones
  for (std::size_t i = 0; i < threads.size();) {
    auto end = i + 1;
    while (end < threads.size() && compiled.same_mask(threads[i], threads[end])) ++end;
    auto mask = compiled.mask(threads[i]);
    made += mask->work();
    if (made > Walk::kWork) return fill_together(bits);
    groups.push_back({std::move(mask), compiled.room(threads[i]), threads.subspan(i, end - i)});
    if (groups.back().mask->large() && !groups[largest].mask->large()) largest = groups.size() - 1;
    i = end;
  }
  // Copying the first is cheaper than adding it to nothing.
  if (groups.empty())
    std::ranges::fill(bits, 0);
  else
    groups[largest].mask->write_to(bits, groups[largest].room);
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (i != largest) groups[i].mask->add_to(bits, groups[i].room);
  std::size_t work = Walk::kWork;
  for (const auto& g : groups)
    if (g.mask->may_leave() && work > 0) add_behind(*g.mask, g.threads, bits, work);
  groups.clear();
}

/// Tokens that leave the unit of threads with one mask. What is known of stacks like theirs is taken from there, so
/// that only the first of them is walked for; the mask is the same.
void Matcher::State::add_behind(const PlaceMask& mask, std::span<const Thread> from, std::span<std::uint64_t> bits,
                                std::size_t& work) {
  const auto room = mask.counted() ? compiled.room(from.front()) : Room{};
  const auto behind = find_behind(mask, from);
  if (behind && behind->complete()) return behind->add_to(bits, room);
  const auto met = [&](std::uint32_t node, std::uint32_t) {
    for (const auto id : compiled.vocabulary().trie().tokens(node)) set(bits, id);
  };
  work -= std::min(work, walk_behind(mask, room, from, work, nullptr, met).work);
}

std::shared_ptr<const Behind> Matcher::State::find_behind(const PlaceMask& mask, std::span<const Thread> from) {
  constexpr std::size_t kWork = 5'000;  // of one: few places are so ambiguous that it takes more
  constexpr std::size_t kGroups = 8;    // with more of them this alone would take long
  constexpr std::size_t kFound = 1U << 16U;
  if (groups.size() > kGroups) return nullptr;
  if (auto known = compiled.behind(from, stacks)) return known;
  std::vector<FrameIndex> left;
  std::vector<Behind::Found> found;
  const auto met = [&](std::uint32_t node, std::uint32_t count) {
    for (const auto id : compiled.vocabulary().trie().tokens(node))
      if (found.size() <= kFound) found.push_back({count, id});
  };
  const auto effort = walk_behind(mask, {}, from, kWork, &left, met);
  auto shape = FrameShape::of(stacks, from, left, compiled.rooms());
  if (!shape) return nullptr;
  const bool complete = effort.complete && found.size() <= kFound;
  auto made =
      complete ? std::make_shared<const Behind>(std::move(*shape), std::move(found), compiled.vocabulary().mask_words())
               : std::make_shared<const Behind>(std::move(*shape));
  compiled.remember(from, stacks, made);
  return made;
}

/// met(node, count): the bytes to this node can be read, and leave the unit when it has counted so far.
template <class Met>
Matcher::State::Effort Matcher::State::walk_behind(const PlaceMask& mask, Room room, std::span<const Thread> from,
                                                   std::size_t work, std::vector<FrameIndex>* list, Met&& met) {
  const Borrowed borrowed(stacks);
  stepper.use(compiled.network());
  stepper.list_frames(list);
  stepper.come_back(from, stacks, next);
  Effort effort{stepper.work(), !stepper.gave_up()};
  stepper.list_frames(nullptr);
  if (next.threads.empty()) return effort;
  const auto& trie = compiled.vocabulary().trie();
  auto& walk = thread_walk();
  walk.begin(compiled.network(), trie, stacks, work - std::min(work, effort.work));
  walk.list_frames(list);
  const auto start = walk.enter(next);
  for (unsigned b = 0; b < 256 && !walk.exhausted(); ++b) {
    const auto byte = static_cast<std::uint8_t>(b);
    if (!mask.may_leave(byte)) continue;
    const auto first = walk.next(start, byte);
    if (first == Walk::kDead) continue;
    mask.each_behind(byte, room, [&](std::uint32_t node, std::uint32_t count) {
      if (walk.exhausted()) return;
      met(node, count);
      walk.run(node + 1, trie.node(node).skip, trie.node(node).depth, first,
               [&](std::uint32_t below, Walk::SetIndex) { met(below, count); });
    });
  }
  walk.list_frames(nullptr);
  effort.work += walk.work();
  effort.complete = effort.complete && walk.complete();
  return effort;
}

void Matcher::State::fill_together(std::span<std::uint64_t> bits) {
  if (now.threads == together && together_bits.size() == bits.size()) {
    std::ranges::copy(together_bits, bits.begin());
    return;
  }
  std::ranges::fill(bits, 0);
  const Borrowed borrowed(stacks);
  const auto& trie = compiled.vocabulary().trie();
  auto& walk = thread_walk();
  walk.begin(compiled.network(), trie, stacks);
  const auto start = walk.enter(now);
  walk.run_all(start, [&](std::uint32_t node, Walk::SetIndex) {
    for (const auto id : trie.tokens(node)) set(bits, id);
  });
  if (walk.exhausted()) {
    std::ranges::fill(bits, 0);
    for (std::uint32_t i = 1; i < trie.size(); i = trie.node(i).skip)
      if (walk.reads(start, trie.node(i).byte))
        for (const auto id : trie.tokens(i)) set(bits, id);
  }
  together = now.threads;
  together_bits.assign(bits.begin(), bits.end());
}

Matcher::Matcher(std::shared_ptr<const Automaton> automaton) : state_(std::make_unique<State>(std::move(automaton))) {}
Matcher::Matcher(Matcher&&) noexcept = default;
Matcher& Matcher::operator=(Matcher&&) noexcept = default;
Matcher::~Matcher() = default;

void Matcher::fill(std::span<std::uint64_t> bits) const {
  auto& s = *state_;
  if (s.ended) return std::ranges::fill(bits, 0), void();
  const auto& vocabulary = s.compiled.vocabulary();
  if (s.crowded())
    s.fill_together(bits);
  else
    s.fill_alone(bits);
  if (s.now.bottom)
    for (const auto id : vocabulary.eos()) set(bits, id);
}

bool Matcher::accept(TokenId token) {
  auto& s = *state_;
  if (s.ended) return false;
  const auto& vocabulary = s.compiled.vocabulary();
  if (vocabulary.ends(token)) {
    s.ended = s.now.bottom;
    return s.ended;
  }
  const auto bytes = vocabulary.bytes(token);
  return !bytes.empty() && s.read(bytes);
}

bool Matcher::accept_text(std::string_view bytes) { return !state_->ended && state_->read(bytes); }

bool Matcher::may_end() const { return state_->now.bottom; }

bool Matcher::must_end() const { return state_->ended || (state_->now.bottom && state_->now.threads.empty()); }

std::string Matcher::forced(std::size_t most) const {
  auto& s = *state_;
  std::string out;
  if (s.ended) return out;
  const Borrowed borrowed(s.stacks);
  const auto& net = s.compiled.network();
  const auto only_byte = [&](const ThreadSet& set) -> std::optional<std::uint8_t> {
    if (set.bottom) return std::nullopt;
    std::optional<std::uint8_t> only;
    for (const auto& t : set.threads) {
      for (const auto& e : net.edges_of(net.places[t.place])) {
        if (e.first != e.last || (only && *only != e.first)) return std::nullopt;
        only = e.first;
      }
    }
    return only;
  };
  const ThreadSet* from = &s.now;
  auto* to = &s.next;
  auto* spare = &s.other;
  while (out.size() < most) {
    const auto byte = only_byte(*from);
    if (!byte) break;
    out.push_back(static_cast<char>(*byte));
    s.stepper.step(from->threads, *byte, s.stacks, *to);
    from = to;
    std::swap(to, spare);
  }
  return out;
}

}  // namespace sluice::text::grammar
