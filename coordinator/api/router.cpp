#include "coordinator/api/router.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "coordinator/api/generation.h"
#include "coordinator/api/openai_json.h"
#include "coordinator/api/prompt_work.h"
#include "coordinator/api/quota_responder.h"
#include "coordinator/api/requests.h"
#include "coordinator/api/unserved.h"

namespace sluice::coordinator {

using nlohmann::json;

void ApiRouter::add_routes(HttpRoutes& routes) {
  using Out = std::shared_ptr<Responder>;
  const auto add = [&](const char* path, PromptWork work, std::string_view operation) {
    routes.add("POST", path, [this, work, operation](HttpRequest q, Out out) {
      hand_over(std::move(q), std::move(out), work, operation);
    });
  };
  add("/v1/completions", prepare_completion, "text_completion");
  add("/v1/chat/completions", prepare_chat, "chat");
  add("/v1/completions/render", render_completion, {});
  add("/v1/chat/completions/render", render_chat, {});
  add("/tokenize", answer_tokenize, {});
  add("/detokenize", answer_detokenize, {});
  routes.add("GET", "/v1/models", [this](const HttpRequest&, const Out& out) {
    out->respond(json_response(models_json(backend_.model(), backend_.largest_context())));
  });
  routes.add_prefix("GET", "/v1/models/", [this](const HttpRequest& q, const Out& out) { models(q, *out); });
  routes.add("GET", "/tokenizer_info", [this](const HttpRequest&, const Out& out) { tokenizer_info(*out); });
  routes.add("GET", "/version",
             [](const HttpRequest&, const Out& out) { out->respond(json_response({{"version", SLUICE_VERSION}})); },
             {.open = true});
  add_unserved_routes(routes);
}

namespace {

std::string client_of(const HttpRequest& q) {
  if (q.caller && !q.caller->key_id.empty()) return "key " + q.caller->key_id;
  return q.peer.substr(0, q.peer.rfind(':'));
}

/// What a generation may cost at most: each prompt once, and every choice's longest answer.
std::uint64_t most_tokens(const PreparedGeneration& p) {
  std::uint64_t all = 0;
  for (const auto& prompt : p.prompts)
    all += prompt.ids->size() +
           static_cast<std::uint64_t>(std::max(prompt.max_tokens, 0)) * static_cast<std::uint64_t>(p.request.n);
  return all;
}

/// Why this generation may not be started; nothing: it may, and is charged for.
std::optional<ApiError> refusal_of(const PreparedGeneration& p, Tenants::Lease& lease) {
  if (auto e = lease.may_use_class(p.request.slo_class)) return e;
  return lease.charge(most_tokens(p), !p.request.max_tokens);
}

}  // namespace

bool ApiRouter::begin(const HttpRequest& q, std::shared_ptr<Responder>& out, std::shared_ptr<Tenants::Lease>& lease) {
  if (tenants_ == nullptr || !q.caller) return true;
  std::vector<std::string> models = backend_.model().aliases;
  models.push_back(backend_.model().id);
  auto begun = tenants_->begin(q.caller, models);
  if (!begun) {
    HttpResponse r = error_response(begun.error().first);
    for (const auto& [name, value] : begun.error().second) r.headers.add(name, value);
    out->respond(std::move(r));
    return false;
  }
  lease = std::move(*begun);
  out = std::make_shared<QuotaResponder>(std::move(out), lease);
  return true;
}

void ApiRouter::hand_over(HttpRequest q, std::shared_ptr<Responder> out, PromptWork work, std::string_view operation) {
  Generation::Spec spec{
      {}, client_of(q), q.request_id, q.received, RequestTrace::begin(tracing_, q, operation, backend_.model().id)};
  if (spec.trace) out = traced(std::move(out), spec.trace);
  if (!begin(q, out, spec.lease)) return;
  PromptJob job{.client = spec.client, .bytes = q.body.size(), .work = {}};
  job.work = [q = std::move(q), work = std::move(work),
              now = ServedNow{backend_.model(), backend_.text(), backend_.largest_context()}]() mutable {
    return work(std::move(q), now);
  };
  executor_.submit(std::move(job), std::move(out),
                   [this, spec = std::move(spec)](PromptResult&& result, std::shared_ptr<Responder> to) mutable {
                     if (spec.trace) spec.trace->read(std::chrono::steady_clock::now());
                     if (auto* answer = std::get_if<HttpResponse>(&result)) return to->respond(std::move(*answer));
                     spec.prepared = std::move(std::get<PreparedGeneration>(result));
                     if (spec.lease)
                       if (const auto e = refusal_of(spec.prepared, *spec.lease))
                         return to->respond(spec.prepared.shape->refused(*e));
                     std::make_shared<Generation>(backend_, executor_, std::move(spec), std::move(to))->begin();
                   });
}

void ApiRouter::models(const HttpRequest& request, Responder& out) const {
  if (!serves(backend_.model(), request.rest)) return out.respond(error_response(model_not_found(request.rest)));
  out.respond(json_response(model_json(backend_.model(), request.rest, backend_.largest_context())));
}

void ApiRouter::tokenizer_info(Responder& out) const {
  const std::string& info = backend_.model().tokenizer_info;
  if (info.empty())
    return out.respond(error_response(
        {404, "The model has no tokenizer_config.json.", "invalid_request_error", "", "not_found", std::nullopt}));
  out.respond({200, {{"content-type", "application/json"}}, info});
}

}  // namespace sluice::coordinator
