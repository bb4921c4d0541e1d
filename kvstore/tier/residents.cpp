#include "kvstore/tier/residents.h"

#include <algorithm>

namespace sluice::kvstore {

Result<Residents::Room> Residents::reserve(const ObjectKey& key, const ObjectFacts& facts) {
  if (const auto it = all_.find(key); it != all_.end())
    return fail(Errc::already_exists, "object {} is {}", to_hex(key), it->second.there ? "there" : "being written");
  const std::uint64_t most = std::min(limits_.bytes, limits_.tenant_bytes);
  if (facts.bytes > most)
    return fail(Errc::resource_exhausted, "an object of {} bytes is larger than the {} that {} have", facts.bytes, most,
                limits_.bytes <= limits_.tenant_bytes ? "all objects" : "one tenant's objects");
  insert(key, facts);  // first, so that what it continues is no leaf
  Room room;
  while (bytes_of_[facts.tenant] > limits_.tenant_bytes && evict_one(&facts.tenant, room.victims)) {
  }
  while (bytes_ > limits_.bytes && evict_one(nullptr, room.victims)) {
  }
  room.made = bytes_ <= limits_.bytes && bytes_of_[facts.tenant] <= limits_.tenant_bytes;
  if (!room.made) erase(key);
  return room;
}

void Residents::insert(const ObjectKey& key, const ObjectFacts& facts) {
  all_.emplace(key, Resident{.facts = facts, .used = ++uses_});
  bytes_ += facts.bytes;
  bytes_of_[facts.tenant] += facts.bytes;
  places_[{facts.name, facts.form}].objects.insert(key);
  Place& continued = places_[{facts.parent, facts.form}];
  if (continued.continued++ == 0) each_there(continued, [&](const Entry& e) { drop_leaf(e); });
}

void Residents::commit(const ObjectKey& key) {
  const auto it = all_.find(key);
  if (it == all_.end() || it->second.there) return;
  it->second.there = true;
  it->second.used = ++uses_;
  if (places_[{it->second.facts.name, it->second.facts.form}].continued == 0) add_leaf(*it);
}

bool Residents::erase(const ObjectKey& key) {
  const auto it = all_.find(key);
  if (it == all_.end()) return false;
  drop_leaf(*it);
  const ObjectFacts facts = it->second.facts;
  all_.erase(it);
  bytes_ -= facts.bytes;
  const auto of = bytes_of_.find(facts.tenant);
  of->second -= facts.bytes;
  if (of->second == 0) bytes_of_.erase(of);
  const auto drop_if_empty = [&](const PlaceId& id) {
    if (const auto p = places_.find(id); p->second.objects.empty() && p->second.continued == 0) places_.erase(p);
  };
  const PlaceId own{facts.name, facts.form}, before{facts.parent, facts.form};
  places_[own].objects.erase(key);
  drop_if_empty(own);
  Place& continued = places_[before];
  if (--continued.continued == 0) each_there(continued, [&](const Entry& e) { add_leaf(e); });
  drop_if_empty(before);
  return true;
}

void Residents::touch(const ObjectKey& key) {
  const auto it = all_.find(key);
  if (it == all_.end() || !it->second.there) return;
  const bool leaf = leaves_.contains({it->second.used, key});
  if (leaf) drop_leaf(*it);
  it->second.used = ++uses_;
  if (leaf) add_leaf(*it);
}

const ObjectFacts* Residents::find(const ObjectKey& key) const {
  const auto it = all_.find(key);
  return it != all_.end() && it->second.there ? &it->second.facts : nullptr;
}

TierUse Residents::use() const { return {bytes_, all_.size(), limits_.bytes, bytes_of_}; }

bool Residents::evict_one(const prefix::TenantMark* of, std::vector<ObjectKey>& victims) {
  auto key = victim(of);
  if (!key) key = oldest(of);
  if (!key) return false;
  ++counts_.evicted_objects;
  counts_.evicted_bytes += all_.at(*key).facts.bytes;
  erase(*key);
  victims.push_back(*key);
  return true;
}

std::optional<ObjectKey> Residents::victim(const prefix::TenantMark* of) const {
  const Leaves* from = &leaves_;
  if (of != nullptr) {
    const auto it = leaves_of_.find(*of);
    if (it == leaves_of_.end()) return std::nullopt;
    from = &it->second;
  }
  return from->empty() ? std::nullopt : std::optional(from->begin()->second);
}

/// Where no leaf is left: all that is there is continued by what is being written, or says of itself (in files that
/// somebody made) that it goes round in a circle.
std::optional<ObjectKey> Residents::oldest(const prefix::TenantMark* of) const {
  const Entry* found = nullptr;
  for (const auto& e : all_)
    if (e.second.there && (of == nullptr || e.second.facts.tenant == *of) &&
        (found == nullptr || e.second.used < found->second.used))
      found = &e;
  return found == nullptr ? std::nullopt : std::optional(found->first);
}

void Residents::add_leaf(const Entry& e) {
  leaves_.emplace(e.second.used, e.first);
  leaves_of_[e.second.facts.tenant].emplace(e.second.used, e.first);
}

void Residents::drop_leaf(const Entry& e) {
  if (leaves_.erase({e.second.used, e.first}) == 0) return;
  const auto of = leaves_of_.find(e.second.facts.tenant);
  of->second.erase({e.second.used, e.first});
  if (of->second.empty()) leaves_of_.erase(of);
}

template <class F>
void Residents::each_there(const Place& place, F&& fn) const {
  for (const auto& key : place.objects)
    if (const auto it = all_.find(key); it->second.there) fn(*it);
}

}  // namespace sluice::kvstore
