#include "coordinator/api/router.h"

#include "coordinator/api/generation.h"
#include "coordinator/api/openai_json.h"
#include "coordinator/api/requests.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

ApiError text_error(const Error& e, std::string_view param) {
  auto a = ApiError::from(e);
  if (a.param.empty()) a.param = param;
  return a;
}

ApiResult<std::vector<TokenId>> encode(const ModelText& text, const PromptText& prompt, bool add_special,
                                       std::string_view param) {
  auto ids = text.encode(prompt, add_special);
  if (!ids) return std::unexpected(text_error(ids.error(), param));
  return std::move(*ids);
}

ApiResult<std::vector<TokenId>> chat_ids(const ModelText& text, const ChatPrompt& chat, bool add_special) {
  auto rendered = text.render_chat(chat);
  if (!rendered) return std::unexpected(text_error(rendered.error(), "messages"));
  return encode(text, *rendered, add_special, "messages");
}

ApiResult<std::vector<TokenId>> prompt_ids(const ModelText& text, const GenerateRequest& q, const PromptInput& prompt) {
  if (const auto* ids = std::get_if<std::vector<TokenId>>(&prompt)) return *ids;
  return encode(text, {std::get<std::string>(prompt)}, q.add_special_tokens, "prompt");
}

std::string echo_text(const ModelText& text, const PromptInput& prompt) {
  if (const auto* s = std::get_if<std::string>(&prompt)) return *s;
  return text.decode(std::get<std::vector<TokenId>>(prompt), false);
}

ApiResult<std::vector<Generation::Prompt>> prepare(Backend& backend, const GenerateRequest& q) {
  std::vector<Generation::Prompt> prompts;
  auto add = [&](std::vector<TokenId> ids, std::string echo) -> ApiResult<> {
    SLUICE_ASSIGN(int max_tokens, fit(q, ids.size(), backend.model(), backend.largest_context()));
    prompts.push_back({std::make_shared<const std::vector<TokenId>>(std::move(ids)), std::move(echo), max_tokens});
    return {};
  };
  if (q.kind == GenerateRequest::Kind::chat) {
    SLUICE_ASSIGN(auto ids, chat_ids(backend.text(), q.chat, q.add_special_tokens));
    SLUICE_TRY(add(std::move(ids), {}));
    return prompts;
  }
  for (const auto& p : q.prompts) {
    SLUICE_ASSIGN(auto ids, prompt_ids(backend.text(), q, p));
    SLUICE_TRY(add(std::move(ids), q.echo ? echo_text(backend.text(), p) : std::string()));
  }
  return prompts;
}

void generate(Backend& backend, ApiResult<GenerateRequest> parsed, const HttpRequest& request,
              std::shared_ptr<Responder> out) {
  if (!parsed) return out->respond(error_response(parsed.error()));
  auto prompts = prepare(backend, *parsed);
  if (!prompts) return out->respond(error_response(prompts.error()));
  Generation::Spec spec{std::move(*parsed), std::move(*prompts), request.request_id, request.received};
  std::make_shared<Generation>(backend, std::move(spec), std::move(out))->begin();
}

}  // namespace

void ApiRouter::add_routes(HttpRoutes& routes) {
  using Out = std::shared_ptr<Responder>;
  routes.add("POST", "/v1/completions", [this](HttpRequest q, Out out) { completions(std::move(q), std::move(out)); });
  routes.add("POST", "/v1/chat/completions",
             [this](HttpRequest q, Out out) { chat_completions(std::move(q), std::move(out)); });
  routes.add("GET", "/v1/models", [this](const HttpRequest&, const Out& out) {
    out->respond(json_response(models_json(backend_.model(), backend_.largest_context())));
  });
  routes.add_prefix("GET", "/v1/models/", [this](const HttpRequest& q, const Out& out) { models(q, *out); });
  routes.add("POST", "/tokenize", [this](const HttpRequest& q, const Out& out) { tokenize(q, *out); });
  routes.add("POST", "/detokenize", [this](const HttpRequest& q, const Out& out) { detokenize(q, *out); });
  routes.add("GET", "/health", [this](const HttpRequest&, const Out& out) { health(*out); }, {.open = true});
  routes.add("GET", "/version",
             [](const HttpRequest&, const Out& out) { out->respond(json_response({{"version", SLUICE_VERSION}})); },
             {.open = true});
  routes.add(
      "GET", "/metrics",
      [this](const HttpRequest&, const Out& out) {
        out->respond({200, {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}, backend_.metrics_text()});
      },
      {.open = true});
}

void ApiRouter::completions(HttpRequest request, std::shared_ptr<Responder> out) {
  generate(backend_, parse_completion(request.body, request.headers, backend_.model()), request, std::move(out));
}

void ApiRouter::chat_completions(HttpRequest request, std::shared_ptr<Responder> out) {
  generate(backend_, parse_chat(request.body, request.headers, backend_.model()), request, std::move(out));
}

void ApiRouter::models(const HttpRequest& request, Responder& out) const {
  if (!serves(backend_.model(), request.rest)) return out.respond(error_response(model_not_found(request.rest)));
  out.respond(json_response(model_json(backend_.model(), request.rest, backend_.largest_context())));
}

void ApiRouter::tokenize(const HttpRequest& request, Responder& out) const {
  const auto& text = backend_.text();
  auto q = parse_tokenize(request.body, backend_.model());
  if (!q) return out.respond(error_response(q.error()));
  auto ids = q->text ? encode(text, {*q->text}, q->add_special_tokens, "prompt")
                     : chat_ids(text, q->chat, q->add_special_tokens);
  if (!ids) return out.respond(error_response(ids.error()));
  json body = {{"count", ids->size()},
               {"max_model_len", max_model_len(backend_.model(), backend_.largest_context())},
               {"tokens", *ids}};
  if (q->return_token_strs) {
    auto& strings = body["token_strs"] = json::array();
    for (TokenId id : *ids) strings.push_back(text.token_bytes(id));
  }
  out.respond(json_response(body));
}

void ApiRouter::detokenize(const HttpRequest& request, Responder& out) const {
  auto ids = parse_detokenize(request.body, backend_.model());
  if (!ids) return out.respond(error_response(ids.error()));
  out.respond(json_response({{"prompt", backend_.text().decode(*ids, false)}}));
}

void ApiRouter::health(Responder& out) const {
  Health h = backend_.health();
  json body = {{"status", h.ready ? "ok" : "unavailable"}};
  if (!h.ready) body["reason"] = h.reason;
  if (h.detail.is_object()) body.update(h.detail);
  out.respond(json_response(body, h.ready ? 200 : 503));
}

}  // namespace sluice::coordinator
