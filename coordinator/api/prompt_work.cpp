#include "coordinator/api/prompt_work.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "coordinator/api/answer_binding.h"
#include "coordinator/api/chat_shape.h"
#include "coordinator/api/completion_shape.h"
#include "coordinator/api/openai_json.h"
#include "coordinator/api/prompt_cut.h"
#include "coordinator/api/render_answer.h"
#include "coordinator/api/requests.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

using Ids = std::vector<TokenId>;

ApiError text_error(const Error& e, std::string_view param) {
  auto a = ApiError::from(e);
  if (a.param.empty()) a.param = param;
  return a;
}

ApiResult<Ids> encode(const ModelText& text, const PromptText& prompt, bool add_special, std::string_view param) {
  auto ids = text.encode(prompt, add_special);
  if (!ids) return std::unexpected(text_error(ids.error(), param));
  return std::move(*ids);
}

ApiResult<PromptText> render(const ModelText& text, const ChatPrompt& chat) {
  auto rendered = text.render_chat(chat);
  if (!rendered) return std::unexpected(text_error(rendered.error(), "messages"));
  return std::move(*rendered);
}

/// True: `ids` were longer. with_specials: the tokenizer may have put its own around them.
ApiResult<bool> cut_to(const ModelText& text, Ids& ids, std::size_t most, const PromptCut& how, bool with_specials) {
  if (ids.size() <= most) return false;
  Ids specials;
  if (with_specials) {
    SLUICE_ASSIGN(specials, encode(text, PromptText{}, true, "prompt"));
  }
  cut_prompt(ids, specials, most, how.keep_first);
  return true;
}

/// Makes the prompts of one request, and keeps account of what they come to.
class Preparation {
 public:
  /// keep_text: of each prompt, though no answer echoes it.
  Preparation(GenerateRequest q, const ServedNow& now, bool keep_text = false)
      : q_(std::move(q)), now_(now), keep_text_(keep_text || q_.echo) {}

  ApiResult<PreparedGeneration> run() && {
    SLUICE_TRY(q_.kind == GenerateRequest::Kind::chat ? add_chat() : add_prompts());
    PreparedGeneration p{std::move(q_), std::move(prompts_), {}, {}, {}};
    for (const auto& prompt : p.prompts)
      for (int i = 0; i < p.request.n; ++i) add_choice(p, *prompt.ids);
    return p;
  }

 private:
  ApiResult<> add_chat() {
    const ChatPrompt chat = std::exchange(q_.chat, {});
    SLUICE_ASSIGN(PromptText rendered, render(now_.text, chat));
    const auto& formats = now_.model.output;
    parser_.inside = text::output::begins_inside(formats.reasoning, rendered.text);
    SLUICE_TRY(bind_chat(chat, formats, parser_.inside, q_));
    parser_.calls = !chat.tools.empty();
    // A stream tells calls as they are written; so does an answer whose calls cannot go wrong, but be cut short.
    parser_.eager = q_.stream || !q_.sampling.grammar.empty();
    SLUICE_ASSIGN(Ids ids, ids_of(rendered, "messages"));
    return add(std::move(ids), std::move(rendered.text));
  }

  /// What reads the tokens of one choice.
  void add_choice(PreparedGeneration& p, const Ids& prompt) const {
    const auto& q = p.request;
    auto parser = q.kind == GenerateRequest::Kind::chat ? make_parser(now_.model.output, parser_) : nullptr;
    const bool keep_markup = parser || !q.sampling.grammar.empty();
    p.streams.push_back(std::make_unique<TokenStream>(now_.text.detokenizer(q.skip_special_tokens, prompt, keep_markup),
                                                      TokenStreamOptions{.stop = q.stop,
                                                                         .include_stop_str = q.include_stop_str,
                                                                         .min_tokens = q.sampling.min_tokens,
                                                                         .keep_tokens = q.sampling.logprobs.has_value(),
                                                                         .keep_ids = q.return_token_ids}));
    p.parsers.push_back(std::move(parser));
  }

  ApiResult<> add_prompts() {
    for (auto& given : std::exchange(q_.prompts, {})) {
      if (auto* ids = std::get_if<Ids>(&given)) {
        if (!q_.cut.tokens) SLUICE_TRY(fits(ids->size()));  // before it is written out
        SLUICE_TRY(add(std::move(*ids), std::nullopt));
        continue;
      }
      PromptText prompt{std::move(std::get<std::string>(given))};
      SLUICE_ASSIGN(Ids ids, ids_of(prompt, "prompt"));
      SLUICE_TRY(add(std::move(ids), std::move(prompt.text)));
    }
    return {};
  }

  ApiResult<Ids> ids_of(const PromptText& prompt, std::string_view param) const {
    const std::size_t context = max_model_len(now_.model, now_.largest_context);
    if (const auto least = now_.text.least_tokens(prompt.text); least >= context && !q_.cut.tokens)
      return std::unexpected(ApiError::invalid(
          fmt::format(
              "The prompt is at least {} tokens long; the {} tokens that are served here leave no room for an answer.",
              least, context),
          std::string(param), "context_length_exceeded"));
    return encode(now_.text, prompt, q_.add_special_tokens, param);
  }

  ApiResult<> fits(std::size_t tokens) const {
    if (auto room = fit(q_, tokens, now_.model, now_.largest_context); !room)
      return std::unexpected(std::move(room).error());
    return {};
  }

  /// What the answer needs at least.
  [[nodiscard]] std::size_t reserved() const {
    const int by_default = q_.kind == GenerateRequest::Kind::completion ? kDefaultCompletionTokens : 1;
    return static_cast<std::size_t>(std::max({q_.max_tokens.value_or(by_default), q_.sampling.min_tokens, 1}));
  }

  /// True: tokens were cut off, so the text is no longer the prompt's.
  ApiResult<bool> cut(Ids& ids) const {
    if (!q_.cut.tokens) return false;
    SLUICE_ASSIGN(const std::size_t most,
                  tokens_kept(q_.cut, max_model_len(now_.model, now_.largest_context), reserved()));
    return cut_to(now_.text, ids, most, q_.cut, q_.add_special_tokens);
  }

  /// text: what `ids` are tokens of; nothing where they came as ids.
  ApiResult<> add(Ids ids, std::optional<std::string> text) {
    SLUICE_ASSIGN(const bool was_cut, cut(ids));
    if (was_cut) text.reset();
    if (keep_text_ && !text) {
      SLUICE_TRY(fits(ids.size()));  // before they are written out
      text = now_.text.decode(ids, false);
    }
    std::string echo = keep_text_ ? std::move(*text) : std::string();
    SLUICE_ASSIGN(const int max_tokens, fit(q_, ids.size(), now_.model, now_.largest_context));
    const auto n = static_cast<std::size_t>(q_.n);
    tokens_ += ids.size() * n;
    const auto most = std::max(kMaxBatchTokens, n * static_cast<std::size_t>(now_.model.max_model_len));
    if (tokens_ > most)
      return std::unexpected(ApiError::invalid(
          fmt::format("The prompts of this batch, times n, are more than {} tokens; send it in parts.", most), "prompt",
          "invalid_value"));
    echoed_ += echo.size() * n;
    const auto most_echoed = q_.stream ? kMaxStreamedEchoBytes : kMaxEchoBytes;
    if (echoed_ > most_echoed)
      return std::unexpected(ApiError::invalid(
          fmt::format("The prompts to echo, times n, are more than {} bytes; leave echo out or send them in parts.",
                      most_echoed),
          "echo", "invalid_value"));
    SLUICE_TRY(rate(ids.size() * n));
    prompts_.push_back({std::make_shared<const Ids>(std::move(ids)), std::move(echo), max_tokens});
    return {};
  }

  ApiResult<> rate(std::size_t tokens) {
    const auto top = q_.rates_prompt();
    if (!top) return {};
    rated_ += tokens * static_cast<std::size_t>(*top + 1);
    // One prompt is always served, with one alternative a token.
    const auto most = std::max(kMaxPromptLogprobs, 2 * static_cast<std::size_t>(now_.model.max_model_len));
    if (rated_ <= most) return {};
    return std::unexpected(ApiError::invalid(
        fmt::format("The prompts' log-probabilities, alternatives and n counted, are more than {}; ask for fewer "
                    "alternatives, or send the prompts in parts.",
                    most),
        q_.prompt_logprobs ? "prompt_logprobs" : "logprobs", "invalid_value"));
  }

  GenerateRequest q_;
  const ServedNow& now_;
  bool keep_text_;
  text::output::ParserOptions parser_;
  std::vector<PreparedGeneration::Prompt> prompts_;
  std::size_t tokens_ = 0;
  std::size_t echoed_ = 0;
  std::size_t rated_ = 0;
};

AnswerHead head_of(const GenerateRequest& q, const std::string& request_id, const ModelInfo& model) {
  const bool chat = q.kind == GenerateRequest::Kind::chat;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {(chat ? "chatcmpl-" : "cmpl-") + (q.request_id.empty() ? request_id : q.request_id),
          std::chrono::duration_cast<std::chrono::seconds>(now).count(), model.id, chat};
}

PromptResult render(ApiResult<GenerateRequest> parsed, const std::string& request_id, const ServedNow& now) {
  if (!parsed) return error_response(parsed.error());
  auto prepared = Preparation(std::move(*parsed), now, true).run();
  if (!prepared) return error_response(prepared.error());
  return render_answer(*prepared, request_id, now.model);
}

/// What /tokenize answers. Written straight to text: a JSON document of millions of ids would take ten times as much.
std::string tokens_text(const Ids& ids, const TokenizeRequest& q, const ServedNow& now) {
  std::string out = fmt::format(R"({{"count":{},"max_model_len":{},"tokens":[)", ids.size(),
                                max_model_len(now.model, now.largest_context));
  for (std::size_t i = 0; i < ids.size(); ++i) fmt::format_to(std::back_inserter(out), "{}{}", i ? "," : "", ids[i]);
  out += ']';
  if (q.return_token_strs) {
    out += R"(,"token_strs":[)";
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (i > 0) out += ',';
      out += dump(now.text.token_bytes(ids[i]));
    }
    out += ']';
  }
  return out += '}';
}

HttpResponse json_text(std::string body) { return {200, {{"content-type", "application/json"}}, std::move(body)}; }

}  // namespace

PromptResult prepare_generation(GenerateRequest q, std::unique_ptr<AnswerShape> shape, const ServedNow& now) {
  auto prepared = Preparation(std::move(q), now).run();
  if (!prepared) return shape->refused(prepared.error());
  prepared->shape = std::move(shape);
  return std::move(*prepared);
}

PromptResult prepare_completion(HttpRequest request, const ServedNow& now) {
  auto q = parse_completion(request.body, request.headers, now.model);
  const std::string id = request.request_id;
  request = {};
  if (!q) return error_response(q.error());
  auto shape = std::make_unique<CompletionShape>(head_of(*q, id, now.model), *q, now.text);
  return prepare_generation(std::move(*q), std::move(shape), now);
}

PromptResult prepare_chat(HttpRequest request, const ServedNow& now) {
  auto q = parse_chat(request.body, request.headers, now.model);
  const std::string id = request.request_id;
  request = {};
  if (!q) return error_response(q.error());
  auto shape = std::make_unique<ChatShape>(head_of(*q, id, now.model), *q, now.text, now.model.output.tools);
  return prepare_generation(std::move(*q), std::move(shape), now);
}

PromptResult render_completion(HttpRequest request, const ServedNow& now) {
  auto parsed = parse_completion(request.body, request.headers, now.model);
  const std::string id = std::exchange(request, {}).request_id;
  return render(std::move(parsed), id, now);
}

PromptResult render_chat(HttpRequest request, const ServedNow& now) {
  auto parsed = parse_chat(request.body, request.headers, now.model);
  const std::string id = std::exchange(request, {}).request_id;
  return render(std::move(parsed), id, now);
}

ApiResult<std::size_t> count_chat(const GenerateRequest& q, const ServedNow& now) {
  SLUICE_ASSIGN(const PromptText rendered, render(now.text, q.chat));
  SLUICE_ASSIGN(const Ids ids, encode(now.text, rendered, q.add_special_tokens, "messages"));
  return ids.size();
}

PromptResult answer_tokenize(HttpRequest request, const ServedNow& now) {
  auto q = parse_tokenize(request.body, now.model);
  request = {};
  if (!q) return error_response(q.error());
  auto prompt = q->text ? ApiResult<PromptText>(PromptText{std::move(*q->text)}) : render(now.text, q->chat);
  const char* param = q->text ? "prompt" : "messages";
  if (!prompt) return error_response(prompt.error());
  auto ids = encode(now.text, *prompt, q->add_special_tokens, param);
  if (!ids) return error_response(ids.error());
  if (q->cut.tokens) {
    const auto most = tokens_kept(q->cut, max_model_len(now.model, now.largest_context), 0);
    if (!most) return error_response(most.error());
    if (auto done = cut_to(now.text, *ids, *most, q->cut, q->add_special_tokens); !done)
      return error_response(done.error());
  }
  if (ids->size() > kMaxTokensAnswer)
    return error_response(ApiError::invalid(
        fmt::format("The text has {} tokens; at most {} are answered at a time.", ids->size(), kMaxTokensAnswer), param,
        "invalid_value"));
  return json_text(tokens_text(*ids, *q, now));
}

PromptResult answer_detokenize(HttpRequest request, const ServedNow& now) {
  auto ids = parse_detokenize(request.body, now.model);
  request = {};
  if (!ids) return error_response(ids.error());
  const auto stream = now.text.detokenizer(false, {}, false);
  std::string out;
  for (const TokenId id : *ids) {
    out += stream->push(id);
    if (out.size() > kMaxTextAnswerBytes)
      return error_response(ApiError::invalid(
          fmt::format("The text of these tokens is longer than {} bytes; send them in parts.", kMaxTextAnswerBytes),
          "tokens", "invalid_value"));
  }
  out += stream->finish();
  return json_response({{"prompt", std::move(out)}});
}

}  // namespace sluice::coordinator
