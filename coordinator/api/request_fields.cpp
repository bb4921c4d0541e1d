// The fields that both APIs share, group by group.
#include "coordinator/api/request_fields.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <variant>

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr auto kIntMax = std::numeric_limits<int>::max();
constexpr std::size_t kMaxShown = 64;  // bytes of a client's word in an error

std::vector<std::string> read_stop(JsonObject& f) {
  const JsonValue v = f.want("stop");
  std::vector<std::string> stops;
  if (!v.present()) return stops;
  if (v.raw().is_string()) {
    stops.push_back(v.raw().get<std::string>());
  } else if (!v.raw().is_array()) {
    v.wrong_type("a string or a list of strings");
  } else if (v.raw().size() > kMaxStops) {
    v.wrong("must hold at most {} strings, not {}", kMaxStops, v.raw().size());
  } else {
    for (const json& s : v.raw())
      if (s.is_string())
        stops.push_back(s.get<std::string>());
      else
        v.wrong_type("a string or a list of strings");
  }
  for (const auto& s : stops)
    if (s.empty() || s.size() > kMaxStopBytes) v.wrong("must be strings of 1 to {} bytes each", kMaxStopBytes);
  return stops;
}

std::vector<std::pair<TokenId, double>> read_logit_bias(JsonObject& f) {
  std::vector<std::pair<TokenId, double>> out;
  const JsonValue v = f.want("logit_bias");
  v.members({}, [&](const std::string& key, const JsonValue& bias) {
    TokenId id = -1;
    auto [end, ec] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (ec != std::errc() || end != key.data() + key.size())
      return v.wrong("must have token ids for keys, not '{}'", clip_utf8(key, kMaxShown));
    if (!bias.raw().is_number()) return v.wrong("must be a number for token {}, not {}", id, json_type(bias.raw()));
    out.emplace_back(id, bias.raw().get<double>());
  });
  std::ranges::sort(out);
  // "7" and "07" are two keys but one token.
  auto twice = std::ranges::adjacent_find(out, {}, &std::pair<TokenId, double>::first);
  if (twice != out.end()) v.wrong("names token {} twice", twice->first);
  return out;
}

/// Range rules live in control::check(), the one place nodes check by too.
void read_sampling(JsonObject& f, const ModelInfo& model, GenerateRequest& q) {
  auto& s = q.sampling = model.defaults;
  f.want("temperature").into(s.temperature);
  f.want("top_p").into(s.top_p);
  f.want("top_k").into(s.top_k, {.least = -1});
  s.top_k = std::max(s.top_k, 0);
  f.want("min_p").into(s.min_p);
  f.want("repetition_penalty").into(s.repetition_penalty);
  f.want("presence_penalty").into(s.presence_penalty);
  f.want("frequency_penalty").into(s.frequency_penalty);
  s.logit_bias = read_logit_bias(f);
  f.want("ignore_eos").into(s.ignore_eos);
  if (const JsonValue ids = f.want("stop_token_ids"); ids.present())
    s.stop_token_ids = read_ids(ids, control::kMaxStopTokenIds, model.vocab_size);
  if (std::int64_t seed = 0; f.want("seed").into(seed)) q.seed = static_cast<std::uint64_t>(seed);
  f.want("max_tokens").into(q.max_tokens, {.least = q.kind == GenerateRequest::Kind::completion ? 0 : 1});
  f.want("max_completion_tokens").into(q.max_tokens, {.least = 1});  // the newer name
  f.want("min_tokens").into(s.min_tokens, {.least = 0});
  if (q.max_tokens && s.min_tokens > *q.max_tokens)
    f.refuse("min_tokens", "min_tokens ({}) is larger than max_tokens ({})", s.min_tokens, *q.max_tokens);
  auto checked = s;  // lengths are settled by fit()
  checked.max_tokens = kIntMax;
  if (auto ok = control::check(checked, model.vocab_size); !ok) f.refuse(ok.error());
}

void read_stream(JsonObject& f, GenerateRequest& q) {
  f.want("stream").into(q.stream);
  JsonObject options = f.want("stream_options").object();
  if (!options.present()) return;
  if (!q.stream) return f.refuse("stream_options", "stream_options may only be given when stream is true");
  options.want("include_usage").into(q.include_usage);
  options.want("continuous_usage_stats").into(q.continuous_usage);
}

void read_sluice(JsonObject& f, GenerateRequest& q) {
  static constexpr Named<LegMode> kModes[] = {
      {"auto", LegMode::automatic}, {"colocated", LegMode::colocated}, {"split", LegMode::split}};
  JsonObject s = f.want("sluice").object();
  s.want("explain").into(q.explain);
  s.want("profile").into(q.profile, Length{1, kMaxLabelBytes});
  s.want("quality_budget").into(q.quality_budget, {.least = 0});
  s.want("mode").into(q.mode, kModes);
  s.want("cut").into(q.local_from, {.least = 0, .most = std::numeric_limits<std::uint32_t>::max()});
  if (q.local_from && q.mode != LegMode::automatic)
    f.refuse("sluice.cut", "sluice.cut says where the prompt is computed: give sluice.mode or it, not both");
}

std::optional<Duration> read_slo(const HttpHeaders& headers, FieldName name, const JsonObject& f) {
  auto text = headers.find(name.text());
  if (!text) return std::nullopt;
  double ms = 0;
  auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), ms);
  constexpr double kMaxMs = 86'400'000;  // a day
  if (ec != std::errc() || end != text->data() + text->size() || !(ms > 0) || ms > kMaxMs) {
    f.refuse(name, "The header {} must be a number of milliseconds above 0", name.text());
    return std::nullopt;
  }
  return from_seconds(ms / 1000);
}

/// Fields that would change the output if honoured: saying no is better than quietly answering something else.
void refuse_unsupported(JsonObject& f) {
  static constexpr FieldName kNever[] = {
      // What other servers take in place of response_format and structured_outputs.
      "grammar", "json_schema", "regex", "ebnf", "structural_tag",
      // What may be said, and how it is drawn.
      "allowed_token_ids", "bad_words", "typical_p", "top_a", "mirostat", "dry_multiplier", "xtc_probability",
      "logits_processors", "custom_logit_processor", "thinking_token_budget",
      // What is read.
      "chat_template", "documents", "prompt_embeds", "functions", "function_call", "audio", "mm_processor_kwargs",
      "media_io_kwargs", "web_search_options",
      // What is answered.
      "logprob_token_ids", "stop_regex",
      // What goes past the service's own decisions.
      "kv_transfer_params", "ec_transfer_params", "vllm_xargs", "repetition_detection"};
  static constexpr FieldName kOnlyOff[] = {"use_beam_search"};
  for (const FieldName field : kNever)
    if (f.has(field)) f.want(field).wrong("is not supported");
  auto unless = [&](FieldName field, const json& harmless, std::string_view why) {
    if (const JsonValue v = f.want(field); v.present() && v.raw() != harmless) v.wrong("{}", why);
  };
  for (const FieldName field : kOnlyOff) unless(field, false, "is not supported");
  unless("suffix", "", "is not supported");
  unless("modalities", json::array({"text"}), "may only be [\"text\"]");
}

/// Fields of which one value means what is done anyway, and clients that write out their defaults send that.
void refuse_all_but_neutral(JsonObject& f, GenerateRequest::Kind kind) {
  struct Neutral {
    FieldName field;
    std::variant<bool, double, std::string_view> value;
  };
  static constexpr Neutral kNeutral[] = {{"watermarking", false},
                                         {"length_penalty", 1.0},
                                         {"spaces_between_special_tokens", true},
                                         {"detokenize", true},
                                         {"routed_experts_prompt_start", 0.0},
                                         {"return_token_offsets", false},
                                         {"return_prompt_text", false},
                                         {"include_reasoning", true},
                                         {"verbosity", "medium"}};
  for (const auto& [field, value] : kNeutral) {
    const JsonValue v = f.want(field);
    if (!v.present()) continue;
    const json neutral = std::visit([](auto x) { return json(x); }, value);
    if (v.raw() != neutral) v.wrong("may only be {}", neutral.dump());
  }
  if (kind == GenerateRequest::Kind::chat) return;
  const JsonValue continued = f.want("continue_final_message");
  if (continued.present() && continued.raw() != false)
    continued.wrong("belongs to chats; send it to /v1/chat/completions");
  for (const FieldName field : {FieldName("messages"), FieldName("tools")})
    if (f.has(field)) f.want(field).wrong("belongs to chats; send it to /v1/chat/completions");
}

}  // namespace

void read_common(JsonObject& f, const HttpHeaders& headers, const ModelInfo& model, GenerateRequest& q) {
  f.want("n").into(q.n, {.least = 1, .most = kMaxN});
  if (int best = 0; f.want("best_of").into(best, {.least = 1}) && best != q.n)
    f.refuse("best_of", "best_of is not supported (other than equal to n)");
  read_stream(f, q);
  read_sampling(f, model, q);
  q.stop = read_stop(f);
  f.want("include_stop_str_in_output").into(q.include_stop_str);
  f.want("skip_special_tokens").into(q.skip_special_tokens);
  const Length label{.most = kMaxLabelBytes};
  f.want("user").into(q.user, label);
  f.want("cache_salt").into(q.cache_salt, Length{1, kMaxLabelBytes});
  if (std::string id; f.want("request_id").into(id, label)) q.request_id = sanitize_request_id(id);
  f.want("priority").into(q.priority, {.least = -kIntMax});
  if (auto name = headers.find("x-slo-class")) q.slo_class = std::string(name->substr(0, kMaxLabelBytes));
  q.slo_ttft = read_slo(headers, "x-slo-ttft-ms", f);
  q.slo_tpot = read_slo(headers, "x-slo-tpot-ms", f);
  read_sluice(f, q);
  f.want("prompt_logprobs").into(q.prompt_logprobs, {.least = 0, .most = control::kMaxLogprobs});
  f.want("return_token_ids").into(q.return_token_ids);
  f.want("return_tokens_as_token_ids").into(q.tokens_as_ids);
  q.cut = read_cut(f);
  refuse_unsupported(f);
  refuse_all_but_neutral(f, q.kind);
}

PromptCut read_cut(JsonObject& f) {
  static constexpr Named<bool> kSides[] = {{"left", false}, {"right", true}};
  PromptCut cut;
  const JsonValue tokens = f.want("truncate_prompt_tokens");
  if (tokens.into(cut.tokens, {.least = -1}) && *cut.tokens == 0)
    tokens.wrong("must be at least 1, or -1 for what fits the context");
  f.want("truncation_side").into(cut.keep_first, kSides);
  return cut;
}

void check_rated_prompt(const JsonObject& f, const GenerateRequest& q) {
  if (!q.rates_prompt()) return;
  if (q.stream && q.prompt_logprobs)
    return f.refuse("prompt_logprobs", "prompt_logprobs are not available when stream is true");
  if (q.stream) return f.refuse("echo", "echo together with logprobs is not available when stream is true");
  if (q.local_from)
    f.refuse("sluice.cut", "log-probabilities of a prompt are computed by a prefill node: sluice.cut may not be given");
  if (q.mode == LegMode::colocated)
    f.refuse("sluice.mode",
             "log-probabilities of a prompt are computed by a prefill node: sluice.mode may not be colocated");
}

void read_prompts(JsonObject& f, const ModelInfo& model, GenerateRequest& q) {
  constexpr auto kAny = std::numeric_limits<std::size_t>::max();  // the body's length bounds it
  const JsonValue v = f.need("prompt");
  if (!v.present()) return;
  const json& prompt = v.raw();
  if (prompt.is_string()) return q.prompts.emplace_back(prompt.get<std::string>()), void();
  if (!prompt.is_array()) return v.wrong_type("a string, a list of token ids, or a list of either");
  if (prompt.empty()) return v.wrong("is an empty list");
  if (prompt.front().is_number()) return q.prompts.emplace_back(read_ids(v, kAny, model.vocab_size)), void();
  if (prompt.size() > kMaxPrompts)
    return v.wrong("holds {} prompts; at most {} are allowed", prompt.size(), kMaxPrompts);
  if (prompt.size() * static_cast<std::size_t>(q.n) > kMaxChoices)
    return f.refuse("n", "{} prompts times n = {} are more than {} choices", prompt.size(), q.n, kMaxChoices);
  v.each({}, [&](const JsonValue& item) {
    if (item.raw().is_string())
      q.prompts.emplace_back(item.raw().get<std::string>());
    else if (!item.raw().is_array())
      item.wrong_type("a string or a list of token ids");
    else if (item.raw().empty())
      item.wrong("is empty");
    else
      q.prompts.emplace_back(read_ids(item, kAny, model.vocab_size));
  });
}

std::vector<TokenId> read_ids(const JsonValue& list, std::size_t most, int vocab_size) {
  std::vector<TokenId> ids;
  if (!list.present()) return ids;
  if (!list.raw().is_array()) return list.wrong_type("a list of token ids"), ids;
  if (list.raw().size() > most) return list.wrong("holds {} ids; at most {} are allowed", list.raw().size(), most), ids;
  ids.reserve(list.raw().size());
  for (const json& v : list.raw()) {
    if (!v.is_number_integer()) return list.wrong("must hold token ids, not {}", json_type(v)), ids;
    if (!v.is_number_unsigned() || v.get<std::uint64_t>() >= static_cast<std::uint64_t>(vocab_size))
      return list.wrong("holds token {}, which is not in the vocabulary of {}", v.dump(), vocab_size), ids;
    ids.push_back(v.get<TokenId>());
  }
  return ids;
}

}  // namespace sluice::coordinator
