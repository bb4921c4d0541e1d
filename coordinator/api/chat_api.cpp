#include "coordinator/api/chat_api.h"

#include <algorithm>
#include <charconv>

#include "coordinator/api/chat_api_fields.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr auto kIntMax = std::numeric_limits<int>::max();

/// Nesting is judged on the bytes, before a parser or a destructor recurses over it.
bool too_deep(std::string_view body) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < body.size(); ++i) {
    char c = body[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxJsonDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

std::string parse_hint(const json::exception& e, std::string_view body) {
  if (e.id == 406) return "A number in the request body is too large.";
  std::string_view what = e.what();
  if (what.find("UTF-8") != std::string_view::npos) return "The request body is not well-formed UTF-8.";
  const auto* pe = dynamic_cast<const json::parse_error*>(&e);
  std::size_t at = pe && pe->byte > 0 ? pe->byte - 1 : 0;
  // The parser stops inside the word: look back a little.
  auto around = body.substr(at > 9 ? at - 9 : 0, 24);
  std::string hint;
  if (around.find("NaN") != std::string_view::npos || around.find("Infinity") != std::string_view::npos)
    hint = " JSON has no NaN or Infinity.";
  return fmt::format("The request body is not valid JSON (at byte {}).{}", at, hint);
}

std::optional<std::vector<std::string>> read_stop(Fields& f) {
  const json* v = f.find("stop");
  std::vector<std::string> stops;
  if (!v) return stops;
  if (!v->is_string() && !v->is_array()) return f.wrong_type("stop", "a string or a list of strings", *v), std::nullopt;
  if (v->is_string())
    stops.push_back(v->get<std::string>());
  else
    for (const auto& s : *v) {
      if (!s.is_string()) return f.wrong_type("stop", "a string or a list of strings", *v), std::nullopt;
      if (stops.size() == kMaxStops)
        return f.refuse("stop", "stop holds {} strings; at most {} are allowed.", v->size(), kMaxStops), std::nullopt;
      stops.push_back(s.get<std::string>());
    }
  for (const auto& s : stops)
    if (s.empty() || s.size() > kMaxStopBytes)
      return f.refuse("stop", "Each stop string must be 1 to {} bytes long.", kMaxStopBytes), std::nullopt;
  return stops;
}

std::vector<std::pair<TokenId, double>> read_logit_bias(Fields& f) {
  std::vector<std::pair<TokenId, double>> out;
  const json* v = f.object("logit_bias");
  if (!v) return out;
  for (const auto& [key, bias] : v->items()) {
    TokenId id = -1;
    auto [end, ec] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (ec != std::errc() || end != key.data() + key.size())
      return f.refuse("logit_bias", "logit_bias keys must be token ids, not '{}'.", key.substr(0, 64)), out;
    if (!bias.is_number())
      return f.refuse("logit_bias", "logit_bias of token {} must be a number, not {}.", id, type_words(bias)), out;
    out.emplace_back(id, bias.get<double>());
  }
  std::ranges::sort(out);
  // "7" and "07" are two keys but one token.
  auto twice = std::ranges::adjacent_find(out, {}, &std::pair<TokenId, double>::first);
  if (twice != out.end()) f.refuse("logit_bias", "logit_bias names token {} twice.", twice->first);
  return out;
}

/// Range rules live in control::check(), the one place nodes check by too.
void read_sampling(Fields& f, const ModelInfo& model, GenerateRequest& q) {
  auto& s = q.sampling = model.defaults;
  s.temperature = f.number("temperature").value_or(s.temperature);
  s.top_p = f.number("top_p").value_or(s.top_p);
  if (auto k = f.integer("top_k", -1, kIntMax)) s.top_k = static_cast<int>(std::max<std::int64_t>(*k, 0));
  s.min_p = f.number("min_p").value_or(s.min_p);
  s.repetition_penalty = f.number("repetition_penalty").value_or(s.repetition_penalty);
  s.presence_penalty = f.number("presence_penalty").value_or(s.presence_penalty);
  s.frequency_penalty = f.number("frequency_penalty").value_or(s.frequency_penalty);
  s.logit_bias = read_logit_bias(f);
  s.ignore_eos = f.boolean("ignore_eos").value_or(false);
  if (const json* ids = f.list("stop_token_ids")) {
    if (ids->size() > control::kMaxStopTokenIds)
      f.refuse("stop_token_ids", "stop_token_ids holds {} ids; at most {} are allowed.", ids->size(),
               control::kMaxStopTokenIds);
    else
      s.stop_token_ids = read_ids(*ids, "stop_token_ids", model.vocab_size, f);
  }
  if (auto seed = f.integer("seed", std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()))
    q.seed = static_cast<std::uint64_t>(*seed);
  auto max = f.integer("max_tokens", 1, kIntMax);
  if (auto newer = f.integer("max_completion_tokens", 1, kIntMax)) max = newer;
  if (max) q.max_tokens = static_cast<int>(*max);
  s.min_tokens = static_cast<int>(f.integer("min_tokens", 0, kIntMax).value_or(0));
  if (q.max_tokens && s.min_tokens > *q.max_tokens)
    f.refuse("min_tokens", "min_tokens ({}) is larger than max_tokens ({}).", s.min_tokens, *q.max_tokens);
  auto checked = s;  // lengths are settled by fit()
  checked.max_tokens = kIntMax;
  if (auto ok = control::check(checked, model.vocab_size); !ok) f.refuse(ok.error().param, "{}.", ok.error().message);
}

void read_stream(Fields& f, GenerateRequest& q) {
  q.stream = f.boolean("stream").value_or(false);
  const json* options = f.object("stream_options");
  if (!options) return;
  if (!q.stream) return f.refuse("stream_options", "stream_options may only be given when stream is true.");
  auto read = [&](const char* field) {
    auto it = options->find(field);
    if (it == options->end() || it->is_null()) return false;
    if (!it->is_boolean()) f.wrong_type(fmt::format("stream_options.{}", field), "true or false", *it);
    return it->is_boolean() && it->get<bool>();
  };
  q.include_usage = read("include_usage");
  q.continuous_usage = read("continuous_usage_stats");
}

void read_sluice(const json& body, Fields& f, std::optional<ApiError>& error, GenerateRequest& q) {
  if (!f.object("sluice")) return;
  Fields s(body["sluice"], error, "sluice.");
  q.explain = s.boolean("explain").value_or(false);
  q.profile = s.string("profile", kMaxLabelBytes);
  if (q.profile && q.profile->empty()) s.refuse("profile", "sluice.profile must name a profile.");
  q.quality_budget = s.number("quality_budget");
  if (q.quality_budget && *q.quality_budget < 0)
    s.refuse("quality_budget", "sluice.quality_budget must not be negative.");
  if (auto mode = s.string("mode", 64)) {
    if (*mode == "colocated")
      q.mode = LegMode::colocated;
    else if (*mode == "split")
      q.mode = LegMode::split;
    else if (*mode != "auto")
      s.refuse("mode", "sluice.mode must be \"auto\", \"colocated\" or \"split\", not '{}'.", *mode);
  }
}

std::optional<Duration> read_slo(const HttpHeaders& headers, std::string_view name, Fields& f) {
  auto text = headers.find(name);
  if (!text) return std::nullopt;
  double ms = 0;
  auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), ms);
  constexpr double kMaxMs = 86'400'000;  // a day
  if (ec != std::errc() || end != text->data() + text->size() || !(ms > 0) || ms > kMaxMs) {
    f.refuse(name, "The header {} must be a number of milliseconds above 0.", name);
    return std::nullopt;
  }
  return from_seconds(ms / 1000);
}

/// Fields that would change the output if honoured: saying no is better than quietly answering something else.
void refuse_unsupported(Fields& f) {
  for (const char* field : {"guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs",
                            "chat_template", "functions", "audio", "prompt_logprobs"})
    if (f.find(field)) f.refuse(field, "{} is not supported.", field);
  for (const char* field : {"use_beam_search", "continue_final_message"})
    if (const json* v = f.find(field); v && *v != false) f.refuse(field, "{} is not supported.", field);
  if (const json* v = f.find("suffix"); v && *v != "") f.refuse("suffix", "suffix is not supported.");
  if (const json* v = f.find("modalities"); v && *v != json::array({"text"}))
    f.refuse("modalities", "Only the modality \"text\" is supported.");
  if (const json* v = f.object("response_format")) {
    auto type = v->find("type");
    if (type == v->end() || !type->is_string())
      f.refuse("response_format", "response_format needs a type.");
    else if (*type != "text")
      f.refuse("response_format", "response_format of type '{}' is not supported; only \"text\" is.",
               type->get_ref<const std::string&>().substr(0, 64));
  }
}

void read_common(const json& body, const HttpHeaders& headers, const ModelInfo& model, Fields& f,
                 std::optional<ApiError>& error, GenerateRequest& q) {
  q.n = static_cast<int>(f.integer("n", 1, kMaxN).value_or(1));
  if (auto best = f.integer("best_of", 1, kIntMax); best && *best != q.n)
    f.refuse("best_of", "best_of is not supported (other than equal to n).");
  read_stream(f, q);
  read_sampling(f, model, q);
  if (auto stops = read_stop(f)) q.stop = std::move(*stops);
  q.include_stop_str = f.boolean("include_stop_str_in_output").value_or(false);
  q.skip_special_tokens = f.boolean("skip_special_tokens").value_or(true);
  q.user = f.string("user", kMaxLabelBytes).value_or("");
  q.cache_salt = f.string("cache_salt", kMaxLabelBytes).value_or("");
  if (auto id = f.string("request_id", kMaxLabelBytes)) q.request_id = sanitize_request_id(*id);
  q.priority = static_cast<int>(f.integer("priority", -kIntMax, kIntMax).value_or(0));
  if (auto name = headers.find("x-slo-class")) q.slo_class = std::string(name->substr(0, kMaxLabelBytes));
  q.slo_ttft = read_slo(headers, "x-slo-ttft-ms", f);
  q.slo_tpot = read_slo(headers, "x-slo-tpot-ms", f);
  read_sluice(body, f, error, q);
  refuse_unsupported(f);
}

void read_prompts(Fields& f, const ModelInfo& model, GenerateRequest& q) {
  const json* v = f.find("prompt");
  if (!v) return f.refuse("prompt", "prompt is missing.");
  if (v->is_string()) return q.prompts.emplace_back(v->get<std::string>()), void();
  if (!v->is_array()) return f.wrong_type("prompt", "a string, a list of token ids, or a list of either", *v);
  if (v->empty()) return f.refuse("prompt", "prompt is an empty list.");
  if (v->front().is_number()) return q.prompts.emplace_back(read_ids(*v, "prompt", model.vocab_size, f)), void();
  if (v->size() > kMaxPrompts)
    return f.refuse("prompt", "prompt holds {} prompts; at most {} are allowed.", v->size(), kMaxPrompts);
  if (v->size() * static_cast<std::size_t>(q.n) > kMaxChoices)
    return f.refuse("n", "{} prompts times n = {} are more than {} choices.", v->size(), q.n, kMaxChoices);
  for (std::size_t i = 0; i < v->size(); ++i) {
    const json& p = (*v)[i];
    auto at = fmt::format("prompt[{}]", i);
    if (p.is_string())
      q.prompts.emplace_back(p.get<std::string>());
    else if (!p.is_array())
      return f.wrong_type(at, "a string or a list of token ids", p);
    else if (p.empty())
      return f.refuse(at, "{} is empty.", at);
    else
      q.prompts.emplace_back(read_ids(p, at, model.vocab_size, f));
  }
}

/// The body as an object that asks for a model served here.
ApiResult<json> open_request(std::string_view body, const ModelInfo& model) {
  auto j = parse_body(body);
  if (!j) return j;
  auto it = j->find("model");
  if (it == j->end() || it->is_null()) return j;  // one model is served: no need to name it
  if (!it->is_string())
    return std::unexpected(
        ApiError::invalid(fmt::format("model must be a string, not {}.", type_words(*it)), "model", "invalid_type"));
  if (!serves(model, it->get_ref<const std::string&>()))
    return std::unexpected(model_not_found(it->get_ref<const std::string&>()));
  return j;
}

}  // namespace

std::vector<TokenId> read_ids(const json& list, std::string_view field, int vocab_size, Fields& f) {
  std::vector<TokenId> ids;
  ids.reserve(list.size());
  for (const auto& v : list) {
    if (!v.is_number_integer()) {
      f.wrong_type(field, "a list of token ids", v);
      return ids;
    }
    bool known = v.is_number_unsigned() && v.get<std::uint64_t>() < static_cast<std::uint64_t>(vocab_size);
    if (!known) {
      f.refuse(field, "{}: token {} is not in the vocabulary of {}.", f.param(field), v.dump(), vocab_size);
      return ids;
    }
    ids.push_back(v.get<TokenId>());
  }
  return ids;
}

ApiResult<json> parse_body(std::string_view body) {
  if (too_deep(body))
    return std::unexpected(ApiError::invalid(
        fmt::format("The request body nests deeper than {} levels.", kMaxJsonDepth), {}, "invalid_json"));
  json j;
  try {
    j = json::parse(body.begin(), body.end());
  } catch (const json::exception& e) {
    return std::unexpected(ApiError::invalid(parse_hint(e, body), {}, "invalid_json"));
  }
  if (!j.is_object())
    return std::unexpected(ApiError::invalid(
        fmt::format("The request body must be a JSON object, not {}.", type_words(j)), {}, "invalid_json"));
  return j;
}

bool serves(const ModelInfo& model, std::string_view name) {
  return name == model.id || std::ranges::find(model.aliases, name) != model.aliases.end();
}

ApiError model_not_found(std::string_view asked) {
  return {404,
          fmt::format("The model '{}' is not served here; GET /v1/models lists what is.", asked.substr(0, 128)),
          "invalid_request_error",
          "model",
          "model_not_found",
          std::nullopt};
}

ApiResult<GenerateRequest> parse_completion(std::string_view text, const HttpHeaders& headers, const ModelInfo& model) {
  auto body = open_request(text, model);
  if (!body) return std::unexpected(std::move(body.error()));
  std::optional<ApiError> error;
  Fields f(*body, error);
  GenerateRequest q;
  q.kind = GenerateRequest::Kind::completion;
  read_common(*body, headers, model, f, error, q);
  read_prompts(f, model, q);
  q.echo = f.boolean("echo").value_or(false);
  q.add_special_tokens = f.boolean("add_special_tokens").value_or(true);
  if (auto k = f.integer("logprobs", 0, control::kMaxLogprobs)) q.sampling.logprobs = static_cast<int>(*k);
  if (q.echo && q.sampling.logprobs)
    f.refuse("echo",
             "echo together with logprobs is not supported: log-probabilities of prompt tokens are not computed.");
  if (error) return std::unexpected(std::move(*error));
  return q;
}

ApiResult<GenerateRequest> parse_chat(std::string_view text, const HttpHeaders& headers, const ModelInfo& model) {
  auto body = open_request(text, model);
  if (!body) return std::unexpected(std::move(body.error()));
  std::optional<ApiError> error;
  Fields f(*body, error);
  GenerateRequest q;
  q.kind = GenerateRequest::Kind::chat;
  q.chat = read_chat_prompt(text, f);
  read_common(*body, headers, model, f, error, q);
  q.add_special_tokens = f.boolean("add_special_tokens").value_or(false);
  bool logprobs = f.boolean("logprobs").value_or(false);
  auto top = f.integer("top_logprobs", 0, control::kMaxLogprobs);
  if (top && *top > 0 && !logprobs) f.refuse("top_logprobs", "top_logprobs needs logprobs to be true.");
  if (logprobs) q.sampling.logprobs = static_cast<int>(top.value_or(0));
  if (error) return std::unexpected(std::move(*error));
  return q;
}

ApiResult<int> fit(const GenerateRequest& q, std::size_t prompt_tokens, const ModelInfo& model) {
  const char* param = q.kind == GenerateRequest::Kind::chat ? "messages" : "prompt";
  if (prompt_tokens == 0)
    return std::unexpected(ApiError::invalid("The prompt holds no tokens.", param, "invalid_value"));
  auto context = static_cast<std::size_t>(model.max_model_len);
  if (prompt_tokens >= context)
    return std::unexpected(ApiError::invalid(
        fmt::format("The prompt is {} tokens long; the model's context of {} leaves no room for an answer.",
                    prompt_tokens, context),
        param, "context_length_exceeded"));
  int left = static_cast<int>(context - prompt_tokens);
  if (q.max_tokens && *q.max_tokens > left)
    return std::unexpected(ApiError::invalid(
        fmt::format(
            "The prompt is {} tokens long and max_tokens is {}; together they exceed the model's context of {} tokens.",
            prompt_tokens, *q.max_tokens, context),
        "max_tokens", "context_length_exceeded"));
  int room =
      q.max_tokens.value_or(q.kind == GenerateRequest::Kind::chat ? left : std::min(left, kDefaultCompletionTokens));
  if (q.sampling.min_tokens > room)
    return std::unexpected(
        ApiError::invalid(fmt::format("min_tokens ({}) is larger than the {} tokens this request may generate.",
                                      q.sampling.min_tokens, room),
                          "min_tokens", "invalid_value"));
  return room;
}

ApiResult<TokenizeRequest> parse_tokenize(std::string_view text, const ModelInfo& model) {
  auto body = open_request(text, model);
  if (!body) return std::unexpected(std::move(body.error()));
  std::optional<ApiError> error;
  Fields f(*body, error);
  TokenizeRequest q;
  if (f.find("messages")) {
    q.chat = read_chat_prompt(text, f);
  } else {
    q.text = f.string("prompt", std::numeric_limits<std::size_t>::max());
    if (!q.text) f.refuse("prompt", "Give the text to tokenize as prompt, or a conversation as messages.");
  }
  q.add_special_tokens = f.boolean("add_special_tokens").value_or(q.text.has_value());
  q.return_token_strs = f.boolean("return_token_strs").value_or(false);
  if (error) return std::unexpected(std::move(*error));
  return q;
}

ApiResult<std::vector<TokenId>> parse_detokenize(std::string_view text, const ModelInfo& model) {
  auto body = open_request(text, model);
  if (!body) return std::unexpected(std::move(body.error()));
  std::optional<ApiError> error;
  Fields f(*body, error);
  std::vector<TokenId> ids;
  if (const json* list = f.list("tokens"))
    ids = read_ids(*list, "tokens", model.vocab_size, f);
  else
    f.refuse("tokens", "tokens must be a list of token ids.");
  if (error) return std::unexpected(std::move(*error));
  return ids;
}

}  // namespace sluice::coordinator
