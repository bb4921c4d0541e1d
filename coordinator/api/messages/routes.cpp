#include "coordinator/api/messages/routes.h"

#include <string>
#include <utility>

#include "coordinator/api/messages/errors.h"
#include "coordinator/api/messages/request.h"
#include "coordinator/api/messages/shape.h"
#include "coordinator/api/unserved.h"

namespace sluice::coordinator {

namespace {

std::string new_id() {
  const std::string id = generate_request_id();  // "req-" and 128 random bits
  return "msg_" + id.substr(id.find('-') + 1);
}

PromptResult prepare_message(HttpRequest request, const ServedNow& now) {
  auto q = read_messages_request(request.body, request.headers, now.model, MessagesUse::create);
  std::string request_id = std::move(request.request_id);
  request = {};
  if (!q) return error_response(q.error());
  auto shape = std::make_unique<MessagesShape>(new_id(), now.model.id, std::move(request_id), now.model.output.tools);
  return prepare_generation(std::move(*q), std::move(shape), now);
}

PromptResult count_tokens(HttpRequest request, const ServedNow& now) {
  auto q = read_messages_request(request.body, request.headers, now.model, MessagesUse::count);
  request = {};
  if (!q) return error_response(q.error());
  const auto tokens = count_chat(*q, now);
  if (!tokens) return error_response(in_words_of_messages(tokens.error()));
  return json_response({{"input_tokens", *tokens}});
}

}  // namespace

void add_messages_routes(HttpRoutes& routes, ApiRouter& router) {
  const auto add = [&](const char* path, PromptWork work, std::string_view operation) {
    routes.add("POST", path,
               [&router, work = std::move(work), operation](HttpRequest q, std::shared_ptr<Responder> out) {
                 router.hand_over(std::move(q), std::move(out), work, operation);
               },
               {.errors = messages_error, .request_id_header = "request-id"});
  };
  add("/v1/messages", prepare_message, "chat");
  add("/v1/messages/count_tokens", count_tokens, {});
  for (const char* method : {"GET", "POST", "DELETE"})
    routes.add_prefix(method, "/v1/messages/",
                      not_served("Message batches, and whatever else lies below /v1/messages, are"),
                      {.errors = messages_error, .request_id_header = "request-id", .listed = false});
}

}  // namespace sluice::coordinator
