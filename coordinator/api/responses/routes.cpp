#include "coordinator/api/responses/routes.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "coordinator/api/responses/request.h"
#include "coordinator/api/responses/shape.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr std::string_view kInputItems = "/input_items";

/// Whose responses are whose: each key has its own.
std::string owner_of(const HttpRequest& q) {
  if (!q.caller) return {};
  return q.caller->tenant + '\n' + q.caller->key_id;
}

std::string new_id() {
  const std::string id = generate_request_id();  // "req-" and 128 random bits
  return "resp_" + id.substr(id.find('-') + 1);
}

HttpResponse json_text(std::string body) { return {200, {{"content-type", "application/json"}}, std::move(body)}; }

/// How a list is asked for.
struct Page {
  std::size_t limit = 20;
  bool newest_first = true;
  std::string after;
};

ApiResult<Page> read_page(std::string_view query) {
  constexpr std::size_t kMaxLimit = 100;
  Page page;
  while (!query.empty()) {
    const auto amp = query.find('&');
    const std::string_view pair = query.substr(0, amp);
    query = amp == std::string_view::npos ? std::string_view() : query.substr(amp + 1);
    if (pair.empty()) continue;
    const auto eq = std::min(pair.find('='), pair.size());
    const std::string name(pair.substr(0, eq).substr(0, kMaxLabelBytes));
    const std::string value = percent_decode(pair.substr(std::min(eq + 1, pair.size()))).value_or("");
    const auto bad = [&](std::string_view why) {
      return std::unexpected(ApiError::invalid(fmt::format("'{}' {}.", name, why), name, "invalid_value"));
    };
    if (name == "limit") {
      const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), page.limit);
      if (ec != std::errc() || end != value.data() + value.size() || page.limit < 1 || page.limit > kMaxLimit)
        return bad("must be from 1 to 100");
    } else if (name == "order") {
      if (value != "asc" && value != "desc") return bad("must be asc or desc");
      page.newest_first = value == "desc";
    } else if (name == "after") {
      page.after = value;
    } else {
      return bad("is not supported in the query of this path");
    }
  }
  return page;
}

ApiResult<json> input_items(const KeptResponse& kept, std::string_view query) {
  SLUICE_ASSIGN(const Page page, read_page(query));
  json all = json::parse(kept.input, nullptr, false);
  if (page.newest_first) std::reverse(all.begin(), all.end());
  std::size_t first = 0;
  if (!page.after.empty()) {
    const auto it = std::ranges::find_if(all, [&](const json& item) { return item["id"] == page.after; });
    if (it == all.end())
      return std::unexpected(
          ApiError::invalid("'after' must be the id of an input item of this response.", "after", "invalid_value"));
    first = static_cast<std::size_t>(it - all.begin()) + 1;
  }
  json data = json::array();
  const std::size_t end = std::min(all.size(), first + page.limit);
  for (std::size_t i = first; i < end; ++i) data.push_back(std::move(all[i]));
  const bool empty = data.empty();
  return json{{"object", "list"},
              {"first_id", empty ? json(nullptr) : data.front()["id"]},
              {"last_id", empty ? json(nullptr) : data.back()["id"]},
              {"has_more", end < all.size()},
              {"data", std::move(data)}};
}

}  // namespace

void ResponsesApi::add_routes(HttpRoutes& routes) {
  using Out = std::shared_ptr<Responder>;
  routes.add("POST", "/v1/responses", [this](HttpRequest q, Out out) {
    router_.hand_over(
        std::move(q), std::move(out),
        [this](HttpRequest request, const ServedNow& now) { return prepare(std::move(request), now); }, "chat");
  });
  routes.add_prefix("GET", "/v1/responses/", [this](const HttpRequest& q, const Out& out) { out->respond(get(q)); });
  routes.add_prefix("DELETE", "/v1/responses/",
                    [this](const HttpRequest& q, const Out& out) { out->respond(erase(q)); });
}

PromptResult ResponsesApi::prepare(HttpRequest request, const ServedNow& now) {
  ResponsesShape::Head head{
      .id = new_id(), .created = 0, .model = now.model.id, .owner = owner_of(request), .tools = now.model.output.tools};
  const auto time = std::chrono::system_clock::now().time_since_epoch();
  head.created = std::chrono::duration_cast<std::chrono::seconds>(time).count();
  auto q = read_responses_request(request.body, request.headers, now.model, head.id, head.owner, memory_);
  request = {};
  if (!q) return error_response(q.error());
  auto shape = std::make_unique<ResponsesShape>(std::move(head), *q, now.text, memory_);
  return prepare_generation(std::move(q->chat), std::move(shape), now);
}

HttpResponse ResponsesApi::get(const HttpRequest& q) {
  std::string_view id = q.rest;
  const bool items = id.ends_with(kInputItems);
  if (items) id.remove_suffix(kInputItems.size());
  const auto kept = memory_.find(owner_of(q), id);
  if (!kept) return error_response(response_not_found(id, "response_id"));
  if (items) {
    auto list = input_items(*kept, q.query);
    return list ? json_response(*list) : error_response(list.error());
  }
  if (!q.query.empty())
    return error_response(
        ApiError::invalid("A kept response is answered whole; its query must be empty ('stream', "
                          "'include' and 'starting_after' are not supported).",
                          "query", "unsupported"));
  return json_text(kept->response);
}

HttpResponse ResponsesApi::erase(const HttpRequest& q) {
  if (!memory_.erase(owner_of(q), q.rest)) return error_response(response_not_found(q.rest, "response_id"));
  return json_response({{"id", q.rest}, {"object", "response"}, {"deleted", true}});
}

}  // namespace sluice::coordinator
