#include "coordinator/api/unserved.h"

#include <memory>
#include <string_view>

namespace sluice::coordinator {

namespace {

struct Unserved {
  std::string_view path;  // one that ends in '/': all below it
  std::string_view what;
};

constexpr std::string_view kEmbeddings = "Embeddings are";
constexpr std::string_view kScores = "Scoring and ranking are";
constexpr std::string_view kPooling = "Pooling models are";
constexpr std::string_view kFiles = "Files and batches are";
constexpr std::string_view kAssistants = "Assistants and conversations are";

constexpr Unserved kUnserved[] = {{"/v1/embeddings", kEmbeddings},
                                  {"/v2/embed", kEmbeddings},
                                  {"/v1/rerank", kScores},
                                  {"/v2/rerank", kScores},
                                  {"/rerank", kScores},
                                  {"/v1/score", kScores},
                                  {"/score", kScores},
                                  {"/pooling", kPooling},
                                  {"/classify", kPooling},
                                  {"/v1/audio/", "Audio is"},
                                  {"/v1/images/", "Image generation is"},
                                  {"/v1/videos", "Video generation is"},
                                  {"/v1/realtime", "The realtime API is"},
                                  {"/v1/moderations", "Moderation is"},
                                  {"/v1/files", kFiles},
                                  {"/v1/batches", kFiles},
                                  {"/v1/fine_tuning/", "Fine-tuning is"},
                                  {"/v1/assistants", kAssistants},
                                  {"/v1/threads", kAssistants},
                                  {"/v1/conversations", kAssistants},
                                  {"/v1/vector_stores", "Vector stores are"}};

}  // namespace

HttpHandler not_served(std::string_view what) {
  return [what](const HttpRequest&, const std::shared_ptr<Responder>& out) {
    out->respond(error_response({404,
                                 fmt::format("{} not served here; this server generates text: see /openapi.json for "
                                             "what it answers.",
                                             what),
                                 "invalid_request_error",
                                 {},
                                 "not_served",
                                 std::nullopt}));
  };
}

void add_unserved_routes(HttpRoutes& routes) {
  for (const auto& [path, what] : kUnserved) {
    const HttpHandler refuse = not_served(what);
    for (const char* method : {"GET", "POST"})
      if (path.ends_with('/'))
        routes.add_prefix(method, std::string(path), refuse, {.listed = false});
      else
        routes.add(method, std::string(path), refuse, {.listed = false});
  }
}

}  // namespace sluice::coordinator
