// Any bytes as a stored object: checking and opening refuse or succeed, and never step outside.
//
// Input: 1 if the digest is to be put right (so that fuzzing gets past it); then the object.
#include <cstdlib>
#include <cstring>

#include "kvstore/object/object.h"

using namespace sluice;
using namespace sluice::kvstore;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  static const auto cluster = prefix::PrefixKey::parse("000102030405060708090a0b0c0d0e0f").value();
  static const ObjectKeys keys(cluster, kv::SealKey{1, 2, 3});
  std::vector<std::byte> bytes(size - 1);
  std::memcpy(bytes.data(), data + 1, bytes.size());
  if ((data[0] & 1U) != 0 && bytes.size() >= kDigestBytes) {
    const auto digest = keys.digest(std::span(bytes).first(bytes.size() - kDigestBytes));
    std::memcpy(bytes.data() + bytes.size() - kDigestBytes, digest.data(), digest.size());
  }
  const auto head = parse_head(bytes);
  const ObjectKey key = head ? keys.key_of(head->head.address) : ObjectKey{};
  const auto object = check_object(keys, key, bytes);
  if (!object) return 0;
  if (!head) std::abort();  // what has no head is no object
  const auto kv = open_object(keys, *object);
  if (!kv) return 0;
  if (!check_head(kv->head())) std::abort();  // what can be read can be written
  std::vector<std::byte> again(kv->head().table_end());
  write_head(kv->head(), again);
  if (std::memcmp(again.data(), bytes.data(), again.size()) != 0) std::abort();  // one meaning, one form
  volatile unsigned sum = 0;                                                     // reads all of each part
  for (std::size_t i = 0; i < kv->head().parts.size(); ++i)
    for (const auto b : kv->payload(i)) sum = sum + static_cast<unsigned>(b);
  return 0;
}
