#include "text/tokenizer/tokenizer.h"

#include <algorithm>

#include "common/utf8.h"
#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/bpe.h"
#include "text/tokenizer/markup.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/pretokenizer.h"
#include "text/tokenizer/tokenizer_config.h"
#include "text/tokenizer/tokenizer_json.h"
#include "text/unicode/unicode.h"

namespace sluice::text {
namespace {

/// What the post-processor puts around the ids of a single text.
struct Surround {
  std::vector<TokenId> before;
  std::vector<TokenId> after;
};

void read_template(const JsonItem& spec, Surround& out) {
  const auto single = spec.at("single");
  bool text_seen = false;
  for (std::size_t i = 0; i < single.array_size(); ++i) {
    const auto part = single.at(i);
    if (part.find("Sequence")) {
      if (std::exchange(text_seen, true)) part.refuse(Errc::unsupported, "the text can't appear twice");
      continue;
    }
    const auto& name = part.at("SpecialToken").at("id").text();
    const auto ids = spec.at("special_tokens").at(name).at("ids");
    auto& side = text_seen ? out.after : out.before;
    for (std::size_t k = 0; k < ids.array_size(); ++k)
      side.push_back(static_cast<TokenId>(ids.at(k).integer(0, kMaxTokenId)));
  }
  if (!text_seen) single.refuse(Errc::invalid_argument, "the template leaves the text out");
}

Surround read_post_processor(const JsonItem& root) {
  Surround out;
  const auto spec = root.find("post_processor");
  if (!spec) return out;
  bool seen = false;
  spec->for_each_component("processors", [&](const JsonItem& p) {
    if (p.type() == "ByteLevel") return;  // trims offsets, which nobody here asks for
    if (p.type() != "TemplateProcessing" || std::exchange(seen, true))
      p.refuse(Errc::unsupported, "post-processor \"{}\" is not supported here", p.type());
    read_template(p, out);
  });
  return out;
}

template <class T>
T read_component(const JsonItem& root, std::string_view key) {
  const auto spec = root.find(key);
  return spec ? T(*spec) : T();
}

/// How much text one id can stand for.
struct LengthBound {
  std::size_t longest = 0;   // bytes of normalized text that a token stands for; 0: any length
  std::size_t shrink = 1;    // how many times as long the text may have been
  bool latin_kept = false;   // but not what of it is below U+0300
  bool spaces_count = true;  // else white space may vanish, and only other bytes count

  [[nodiscard]] std::size_t least(std::string_view text) const noexcept {
    if (longest == 0) return 0;
    std::size_t all = 0;
    std::size_t latin = 0;
    while (!text.empty()) {
      const auto step = utf8_step(text);
      text.remove_prefix(step.length);
      if (!spaces_count && is_white_space(step.code_point)) continue;
      all += step.length;
      if (step.code_point < 0x300) latin += step.length;
    }
    const auto bytes = std::max((all + shrink - 1) / shrink, latin_kept ? latin : 0);
    return (bytes + longest - 1) / longest;
  }
};

/// A text's bytes are split among its tokens: an added one stands for its own; those of normalized words, which are
/// at most `shrink` times as short, for a piece each, if there is a piece for everything and nothing is dropped.
LengthBound length_bound(const Bpe& bpe, const Normalizer& normalizer, const PreTokenizer& words,
                         const AddedTokens& added) {
  const bool mapped = words.maps_bytes();
  const auto spelled = [&](char32_t c) {
    std::string piece;
    append_utf8(piece, c);
    return bpe.find(piece).has_value();
  };
  bool all = bpe.falls_back_to_bytes() || mapped;
  for (unsigned b = 0; b < 256 && mapped && !bpe.falls_back_to_bytes(); ++b)
    all = all && spelled(ByteAlphabet::instance().char_of(static_cast<std::uint8_t>(b)));
  const auto shrink = normalizer.shrink_factor();
  if (!all || shrink == 0 || words.drops() == PreTokenizer::Drops::anything) return {};
  const bool spaces_vanish =
      normalizer.strips_spaces() || added.swallows_spaces() || words.drops() == PreTokenizer::Drops::spaces;
  return {std::max(bpe.longest_piece(mapped), added.longest()), shrink, normalizer.keeps_latin(), !spaces_vanish};
}

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(const JsonItem& root)
      : bpe(root.at("model")),
        normalizer(read_component<Normalizer>(root, "normalizer")),
        pretokenizer(read_component<PreTokenizer>(root, "pre_tokenizer")),
        surround(read_post_processor(root)) {
    if (const auto list = root.find("added_tokens")) added = AddedTokens(*list, bpe, normalizer);
    bound = length_bound(bpe, normalizer, pretokenizer, added);
    const auto decoder = root.find("decoder");
    fill_table(decoder ? PieceDecoder(*decoder) : PieceDecoder());
    for (const auto* side : {&surround.before, &surround.after})
      for (const auto id : *side)
        if (!table->find(id)) root.at("post_processor").refuse(Errc::invalid_argument, "id {} has no token", id);
  }

  void fill_table(const PieceDecoder& decoder) {
    auto t = std::make_shared<TokenTable>();
    for (TokenId id = 0; id <= std::max(bpe.max_id(), added.max_id()); ++id) {
      const auto* token = added.find(id);
      const auto piece = token ? std::string_view(token->content) : bpe.piece(id);
      if (piece.data() == nullptr) continue;
      const auto spelling = token ? std::string_view(token->spelling) : piece;
      auto bytes = decoder.decode(spelling, false);
      auto first = decoder.first_differs() ? decoder.decode(spelling, true) : bytes;
      const bool special = token && token->special;
      t->add(id, {std::string(piece), std::move(bytes), special, special && text::is_markup(piece)}, std::move(first));
    }
    t->set_lead(decoder.lead());
    table = std::move(t);
  }

  /// A token id of a model's configuration. None for -1, which some write for "none"; the engine reads it so as well.
  static std::optional<TokenId> special_id(const JsonItem& item) {
    const auto id = item.integer(-1, kMaxTokenId);
    return id < 0 ? std::nullopt : std::optional(static_cast<TokenId>(id));
  }

  /// An id, or a list of ids, from a generation config.
  void read_eos(const JsonItem& item) {
    const auto add = [this](const JsonItem& i) {
      if (const auto id = special_id(i)) eos.push_back(*id);
    };
    if (!item.json().is_array()) return add(item);
    for (std::size_t i = 0; i < item.array_size(); ++i) add(item.at(i));
  }

  /// A token of tokenizer_config.json: a string, or an object with its "content".
  [[nodiscard]] std::optional<TokenId> named_token(const JsonItem& config, std::string_view key) const {
    const auto item = config.find(key);
    if (!item) return std::nullopt;
    const auto& content = (item->json().is_object() ? item->at("content") : *item).text();
    const auto id = find(content);
    if (!id) item->refuse(Errc::invalid_argument, "\"{}\" is not a token of tokenizer.json", content);
    return id;
  }

  void read_ends(const std::filesystem::path& dir) {
    for (const auto* name : {"generation_config.json", "config.json"}) {
      const auto doc = read_json_file(dir / name);
      if (!doc) continue;
      const JsonItem config(*doc, (dir / name).string());
      if (const auto item = config.find("bos_token_id"); item && !bos) bos = special_id(*item);
      if (const auto item = config.find("eos_token_id"); item && eos.empty()) read_eos(*item);
    }
    if (const auto doc = read_json_file(dir / "tokenizer_config.json")) {
      const JsonItem config(*doc, (dir / "tokenizer_config.json").string());
      if (const auto id = named_token(config, "bos_token")) bos = id;
      if (const auto id = named_token(config, "eos_token")) eos.push_back(*id);
    }
    std::ranges::sort(eos);
    const auto same = std::ranges::unique(eos);
    eos.erase(same.begin(), same.end());
  }

  [[nodiscard]] std::optional<TokenId> find(std::string_view piece) const {
    if (const auto* token = added.find(piece)) return token->id;
    return bpe.find(piece);
  }

  Result<> encode_words(std::string text, bool at_start, MatchBudget& budget, Bpe::Scratch& scratch,
                        std::vector<TokenId>& out) const {
    SLUICE_ASSIGN(const auto words, pretokenizer.apply(std::move(text), at_start, budget));
    for (const auto& w : words.words) bpe.encode(w.range.of(words.text), scratch, out);
    return {};
  }

  Result<> encode(std::string_view text, bool parse_special, std::span<const std::size_t> typed,
                  std::vector<TokenId>& out) const {
    Bpe::Scratch scratch;
    MatchBudget budget(text.size());
    for (const auto& raw : added.cut(text, AddedTokens::Pass::raw, parse_special, typed)) {
      if (raw.token) {
        out.push_back(*raw.token);
        continue;
      }
      SLUICE_ASSIGN(const auto normal, normalizer.apply(std::string(raw.range.of(text)), budget));
      // Normalizing moves offsets: a stretch that holds one is read without special tokens.
      const auto first_typed = std::ranges::upper_bound(typed, raw.range.begin);
      const bool clean = first_typed == typed.end() || *first_typed >= raw.range.end;
      for (const auto& part : added.cut(normal, AddedTokens::Pass::normalized, parse_special && clean)) {
        if (part.token) {
          out.push_back(*part.token);
          continue;
        }
        const bool at_start = raw.range.begin == 0 && part.range.begin == 0;
        SLUICE_TRY(encode_words(std::string(part.range.of(normal)), at_start, budget, scratch, out));
      }
    }
    return {};
  }

  Bpe bpe;
  Normalizer normalizer;
  PreTokenizer pretokenizer;
  Surround surround;
  AddedTokens added;
  LengthBound bound;
  std::shared_ptr<const TokenTable> table;
  std::optional<TokenId> bos;
  std::vector<TokenId> eos;
};

Result<Tokenizer> Tokenizer::load(const std::filesystem::path& model_dir) {
  try {
    const auto path = model_dir / "tokenizer.json";
    auto doc = read_json_file(path);
    if (!doc)
      return fail(Errc::not_found,
                  "{}: no such file; a model needs its tokenizer in this form (save_pretrained writes it)",
                  path.string());
    const auto config_path = model_dir / "tokenizer_config.json";
    if (const auto config = read_json_file(config_path))
      apply_tokenizer_config(JsonItem(*config, config_path.string()), *doc);
    auto impl = std::make_shared<Impl>(JsonItem(*doc, path.string()));
    impl->read_ends(model_dir);
    return Tokenizer(std::move(impl));
  } catch (const LoadError& e) {
    return std::unexpected(e.error);
  } catch (const std::exception& e) {
    return fail(Errc::invalid_argument, "{}: {}", model_dir.string(), e.what());
  }
}

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, bool add_special_tokens, bool parse_special,
                                               std::span<const std::size_t> typed) const {
  if (text.size() > kMaxTextBytes)
    return fail(Errc::invalid_argument, "the text has {} bytes; at most {} can be tokenized", text.size(),
                kMaxTextBytes);
  std::string repaired;
  if (utf8_valid_prefix(text) != text.size()) {
    text = repaired = utf8_lossy(text);
    parse_special = parse_special && typed.empty();  // its offsets are of the text before
  }
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 4);
  if (add_special_tokens) ids = impl_->surround.before;
  SLUICE_TRY(impl_->encode(text, parse_special, typed, ids));
  if (add_special_tokens) ids.insert(ids.end(), impl_->surround.after.begin(), impl_->surround.after.end());
  return ids;
}

std::vector<std::size_t> Tokenizer::special_starts(std::string_view text) const {
  return impl_->added.special_starts(text);
}

std::size_t Tokenizer::least_tokens(std::string_view text) const noexcept { return impl_->bound.least(text); }

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  auto s = stream(skip_special);
  std::string out;
  for (const auto id : ids) s.push(id, out);
  return out += s.finish();
}

StreamDetokenizer Tokenizer::stream(bool skip_special, std::span<const TokenId> context, bool keep_markup) const {
  return StreamDetokenizer(impl_->table, skip_special, context, keep_markup);
}

std::string_view Tokenizer::id_to_piece(TokenId id) const noexcept {
  const auto* entry = impl_->table->find(id);
  return entry ? std::string_view(entry->piece) : std::string_view();
}

std::optional<TokenId> Tokenizer::piece_to_id(std::string_view piece) const { return impl_->find(piece); }

std::string_view Tokenizer::token_bytes(TokenId id) const noexcept {
  const auto* entry = impl_->table->find(id);
  return entry ? std::string_view(entry->bytes) : std::string_view();
}

std::size_t Tokenizer::vocab_size() const noexcept { return impl_->table->size(); }

bool Tokenizer::is_special(TokenId id) const noexcept {
  const auto* entry = impl_->table->find(id);
  return entry && entry->special;
}

bool Tokenizer::is_markup(TokenId id) const noexcept {
  const auto* entry = impl_->table->find(id);
  return entry && entry->markup;
}

std::optional<TokenId> Tokenizer::bos_id() const noexcept { return impl_->bos; }
const std::vector<TokenId>& Tokenizer::eos_ids() const noexcept { return impl_->eos; }
bool Tokenizer::is_eos(TokenId id) const noexcept { return std::ranges::binary_search(impl_->eos, id); }

}  // namespace sluice::text
