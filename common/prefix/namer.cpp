#include "common/prefix/namer.h"

#include <sodium.h>

#include <array>
#include <bit>
#include <cstring>

namespace sluice::prefix {
namespace {

static_assert(std::endian::native == std::endian::little);
static_assert(sizeof(PrefixName) == crypto_shorthash_siphashx24_BYTES);

constexpr std::uint64_t kRoot = 'r', kBlock = 'b', kMark = 'm';
constexpr std::size_t kBlockHead = 2 * sizeof(std::uint64_t) + sizeof(PrefixName);

PrefixName hash(const PrefixKey& key, std::span<const std::byte> message) {
  PrefixName name;
  crypto_shorthash_siphashx24(name.bytes.data(), reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                              key.bytes().data());
  return name;
}

void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
void append(std::vector<std::byte>& out, std::uint64_t number) { append(out, std::as_bytes(std::span(&number, 1))); }
void append_sized(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  append(out, bytes.size());
  append(out, bytes);
}

/// A block's message is written over the last one's: head once, then parent and tokens of each.
class BlockHasher {
 public:
  BlockHasher(const PrefixKey& key, std::size_t tokens) : key_(key), message_(kBlockHead + tokens * sizeof(TokenId)) {
    const std::array<std::uint64_t, 2> head{kBlock, tokens};
    std::memcpy(message_.data(), head.data(), sizeof head);
  }
  PrefixName operator()(const PrefixName& parent, std::span<const TokenId> block) {
    std::memcpy(message_.data() + 2 * sizeof(std::uint64_t), parent.bytes.data(), sizeof parent);
    std::memcpy(message_.data() + kBlockHead, block.data(), block.size_bytes());
    return hash(key_, message_);
  }

 private:
  const PrefixKey& key_;
  std::vector<std::byte> message_;
};

}  // namespace

PrefixName PrefixNamer::root(const PrefixOwner& owner) const {
  std::vector<std::byte> message;
  append(message, kRoot);
  append_sized(message, std::as_bytes(std::span(owner.tenant)));
  append_sized(message, std::as_bytes(std::span(owner.cache_salt)));
  append_sized(message, owner.identity);
  return hash(key_, message);
}

PrefixName PrefixNamer::extend(const PrefixName& parent, std::span<const TokenId> block) const {
  return BlockHasher(key_, block.size())(parent, block);
}

void PrefixNamer::append_names(const PrefixName& root, std::span<const TokenId> tokens, std::size_t block_tokens,
                               std::vector<PrefixName>& out) const {
  BlockHasher hasher(key_, block_tokens);
  PrefixName name = root;
  out.reserve(out.size() + tokens.size() / block_tokens);
  for (; tokens.size() >= block_tokens; tokens = tokens.subspan(block_tokens)) {
    name = hasher(name, tokens.first(block_tokens));
    out.push_back(name);
  }
}

TenantMark PrefixNamer::mark(std::string_view tenant) const {
  std::vector<std::byte> message;
  append(message, kMark);
  append(message, std::as_bytes(std::span(tenant)));
  const PrefixName whole = hash(key_, message);
  std::uint64_t mark;
  std::memcpy(&mark, whole.bytes.data(), sizeof mark);
  return TenantMark(mark);
}

}  // namespace sluice::prefix
