#include "coordinator/api/requests.h"

#include <algorithm>
#include <memory>

#include "coordinator/api/request_body.h"
#include "coordinator/api/request_fields.h"
#include "coordinator/api/structured_fields.h"

namespace sluice::coordinator {

using nlohmann::json;

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
  SLUICE_ASSIGN(const auto request, RequestBody::open(text, model));
  JsonObject& f = request->fields();
  GenerateRequest q;
  q.kind = GenerateRequest::Kind::completion;
  read_common(f, headers, model, q);
  OrderedBody ordered(text, request->sorted());
  read_structured(f, ordered, q);
  read_prompts(f, model, q);
  f.want("echo").into(q.echo);
  f.want("add_special_tokens").into(q.add_special_tokens);
  f.want("logprobs").into(q.sampling.logprobs, {.least = 0, .most = control::kMaxLogprobs});
  check_rated_prompt(f, q);
  return request->done(std::move(q));
}

namespace {

GenerateRequest chat_of(ChatPrompt prompt, JsonObject& f, OrderedBody& ordered, const HttpHeaders& headers,
                        const ModelInfo& model) {
  GenerateRequest q;
  q.kind = GenerateRequest::Kind::chat;
  q.chat = std::move(prompt);
  read_common(f, headers, model, q);
  read_structured(f, ordered, q);
  q.add_special_tokens = false;
  f.want("add_special_tokens").into(q.add_special_tokens);
  bool logprobs = false;
  int top = 0;
  f.want("logprobs").into(logprobs);
  f.want("top_logprobs").into(top, {.least = 0, .most = control::kMaxLogprobs});
  if (bool echo = false; f.want("echo").into(echo) && echo)
    f.refuse("echo", "echo is not supported in chats; the answer never repeats the messages");
  if (top > 0 && !logprobs) f.refuse("top_logprobs", "top_logprobs needs logprobs to be true");
  if (logprobs) q.sampling.logprobs = top;
  check_rated_prompt(f, q);
  return q;
}

}  // namespace

ApiResult<GenerateRequest> parse_chat(std::string_view text, const HttpHeaders& headers, const ModelInfo& model) {
  SLUICE_ASSIGN(const auto request, RequestBody::open(text, model));
  JsonObject& f = request->fields();
  ChatPrompt prompt = read_chat_prompt(text, request->sorted(), f);
  OrderedBody ordered(text, request->sorted());
  return request->done(chat_of(std::move(prompt), f, ordered, headers, model));
}

ApiResult<GenerateRequest> read_chat(const json& sorted, nlohmann::ordered_json ordered, const HttpHeaders& headers,
                                     const ModelInfo& model) {
  JsonReader in(sorted, {});
  JsonObject f = in.object();
  nlohmann::ordered_json fields = nlohmann::ordered_json::object();  // all but what is long
  for (const auto& [name, value] : ordered.items())
    if (name != "messages") fields[name] = value;
  OrderedBody rest(std::move(fields));
  KeyOrder order;
  ChatPrompt prompt = read_chat_prompt(std::move(ordered), order, f);
  GenerateRequest q = chat_of(std::move(prompt), f, rest, headers, model);
  if (!in.ok()) return std::unexpected(api_error(in));
  return q;
}

namespace {

/// How long a sequence may be, and whose bound that is.
struct Context {
  std::size_t tokens;
  std::string words;
};

Context context_of(const ModelInfo& model, std::size_t largest) {
  const auto context = static_cast<std::size_t>(model.max_model_len);
  if (largest == 0 || largest >= context) return {context, fmt::format("the model's context of {} tokens", context)};
  return {largest,
          fmt::format("the {} tokens that the nodes' KV memory holds (the model's context is {})", largest, context)};
}

}  // namespace

ApiResult<int> fit(const GenerateRequest& q, std::size_t prompt_tokens, const ModelInfo& model,
                   std::size_t largest_context) {
  const char* param = q.kind == GenerateRequest::Kind::chat ? "messages" : "prompt";
  if (prompt_tokens == 0)
    return std::unexpected(ApiError::invalid("The prompt holds no tokens.", param, "invalid_value"));
  const Context context = context_of(model, largest_context);
  if (prompt_tokens >= context.tokens)
    return std::unexpected(
        ApiError::invalid(fmt::format("The prompt is {} tokens long and leaves no room for an answer in {}.",
                                      prompt_tokens, context.words),
                          param, "context_length_exceeded"));
  int left = static_cast<int>(context.tokens - prompt_tokens);
  if (q.max_tokens && *q.max_tokens > left)
    return std::unexpected(ApiError::invalid(
        fmt::format("The prompt is {} tokens long and max_tokens is {}; together they exceed {}. At most {} fit, and "
                    "without max_tokens the answer takes what fits.",
                    prompt_tokens, *q.max_tokens, context.words, left),
        "max_tokens", "context_length_exceeded"));
  int room =
      q.max_tokens.value_or(q.kind == GenerateRequest::Kind::chat ? left : std::min(left, kDefaultCompletionTokens));
  if (q.sampling.min_tokens > room)
    return std::unexpected(
        ApiError::invalid(fmt::format("min_tokens ({}) is larger than the {} tokens this request may generate.",
                                      q.sampling.min_tokens, room),
                          "min_tokens", "invalid_value"));
  return std::max(room, 1);  // who wants no token has one drawn and left out
}

ApiResult<TokenizeRequest> parse_tokenize(std::string_view text, const ModelInfo& model) {
  SLUICE_ASSIGN(const auto request, RequestBody::open(text, model));
  JsonObject& f = request->fields();
  TokenizeRequest q;
  if (f.has("messages")) {
    q.chat = read_chat_prompt(text, request->sorted(), f);
  } else if (!f.want("prompt").into(q.text)) {
    f.refuse("prompt", "Give the text to tokenize as prompt, or a conversation as messages");
  }
  q.add_special_tokens = q.text.has_value();
  f.want("add_special_tokens").into(q.add_special_tokens);
  q.cut = read_cut(f);
  f.want("return_token_strs").into(q.return_token_strs);
  for (const FieldName field : {FieldName("chat_template"), FieldName("documents"), FieldName("media_io_kwargs"),
                                FieldName("mm_processor_kwargs")})
    if (f.has(field)) f.want(field).wrong("is not supported");
  return request->done(std::move(q));
}

ApiResult<std::vector<TokenId>> parse_detokenize(std::string_view text, const ModelInfo& model) {
  SLUICE_ASSIGN(const auto request, RequestBody::open(text, model));
  return request->done(read_ids(request->fields().need("tokens"), text.size(), model.vocab_size));
}

}  // namespace sluice::coordinator
