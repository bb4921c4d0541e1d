#pragma once
// The API over real sockets: the real server and router, a backend that plays a script. With several front threads
// (server_fixture.h) each has a router and a remote backend of its own, and the backend is on the deciding thread.
#include <functional>
#include <memory>

#include "coordinator/api/remote_backend.h"
#include "coordinator/api/router.h"
#include "coordinator/api/status_routes.h"
#include "tests/support/fake_backend.h"
#include "tests/support/inline_prompts.h"
#include "tests/support/server_fixture.h"

namespace sluice::test {

using nlohmann::json;

struct Answer {
  int status = 0;
  std::string head;
  json body;
  std::vector<json> events;  // of a stream, without [DONE]
  bool done = false;
};

/// The backend lives on the server's thread; `on_io` reaches it safely.
class Api {
 public:
  /// Routes of another API on the same router.
  using MoreRoutes = std::function<void(HttpRoutes&, ApiRouter&)>;

  /// `tenants`: whose keys are demanded; they live on the server's thread. Null: none.
  explicit Api(Tenants* tenants = nullptr, const RequestTracing& tracing = {}, const MoreRoutes& more = {})
      : backend_(io_->io()),
        server_([&](boost::asio::io_context& io) { return routes(io, tenants, tracing, more); }, options(tenants),
                io_) {}
  template <class F>
  auto on_io(F f) {
    return io_->on_io([this, f = std::move(f)]() mutable {
      const Refresh after{*this};
      return f();
    });
  }
  FakeBackend& backend() { return backend_; }
  /// With one front thread.
  InlinePrompts& prompts() { return fronts_.front()->prompts; }
  std::uint16_t port() const { return server_.port(); }
  template <class P>
  bool eventually(P holds) {
    return io_->eventually([this, holds] { return holds(backend_); });
  }

  static std::string post_text(const std::string& path, const std::string& body, const std::string& headers = {}) {
    return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}Content-Length: {}\r\n\r\n{}", path,
                       headers, body.size(), body);
  }
  Answer post(const std::string& path, const json& body, const std::string& headers = {}) {
    RawClient c(port());
    c.send(post_text(path, body.dump(), headers));
    return read(c);
  }
  Answer get(const std::string& path, const std::string& headers = {}) { return ask("GET", path, headers); }
  Answer ask(const std::string& method, const std::string& path, const std::string& headers = {}) {
    RawClient c(port());
    c.send(fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", method, path, headers));
    return read(c);
  }
  static Answer read(RawClient& c) {
    Answer a;
    std::string all = c.read_all();
    auto split = all.find("\r\n\r\n");
    REQUIRE(split != std::string::npos);
    a.head = all.substr(0, split + 2);
    a.status = std::stoi(a.head.substr(9));
    std::string rest = all.substr(split + 4);
    if (!a.head.contains("text/event-stream")) {
      a.body = json::parse(rest, nullptr, false);
      if (a.body.is_discarded()) a.body = rest;
      return a;
    }
    std::string text;
    for (std::size_t at = 0; at < rest.size();) {
      auto size = std::stoul(rest.substr(at), nullptr, 16);
      at = rest.find("\r\n", at) + 2;
      text += rest.substr(at, size);
      at += size + 2;
    }
    for (std::size_t at = 0; at < text.size();) {
      auto end = text.find("\n\n", at);
      std::string type;  // where events are named
      if (text.substr(at, 7) == "event: ") {
        const auto line = text.find('\n', at);
        type = text.substr(at + 7, line - at - 7);
        at = line + 1;
      }
      auto data = text.substr(at + 6, end - at - 6);
      CHECK(text.substr(at, 6) == "data: ");
      if (!type.empty()) CHECK(json::parse(data)["type"] == type);
      CHECK_FALSE(a.done);
      if (data == "[DONE]")
        a.done = true;
      else
        a.events.push_back(json::parse(data));
      at = end + 2;
    }
    return a;
  }

 private:
  static HttpServerOptions options(Tenants* tenants) {
    HttpServerOptions o;
    if (tenants != nullptr) o.identify = [tenants](std::string_view key) { return tenants->identify(key); };
    return o;
  }
  struct Front {
    std::unique_ptr<RemoteBackend> remote;  // null: it is the deciding thread
    InlinePrompts prompts;
    std::unique_ptr<ApiRouter> router;
  };
  /// What front threads look at may have been changed.
  struct Refresh {
    ~Refresh() {
      for (auto& f : api.fronts_)
        if (f->remote) f->remote->desk().refresh();
    }
    Api& api;
  };
  HttpRoutes routes(boost::asio::io_context& io, Tenants* tenants, const RequestTracing& tracing,
                    const MoreRoutes& more) {
    Front& f = *fronts_.emplace_back(std::make_unique<Front>());
    if (&io != &io_->io()) f.remote = std::make_unique<RemoteBackend>(io, io_->io(), backend_);
    Backend& backend = f.remote ? static_cast<Backend&>(*f.remote) : backend_;
    f.router = std::make_unique<ApiRouter>(backend, f.prompts, tenants, tracing);
    HttpRoutes r, status;
    f.router->add_routes(r);
    if (more) more(r, *f.router);
    add_status_routes(status, backend_);
    r.add_all(status, [&](const HttpHandler& h) { return f.remote ? relayed(h, io, io_->io()) : h; });
    return r;
  }
  std::shared_ptr<IoThread> io_ = std::make_shared<IoThread>();
  FakeBackend backend_;
  std::vector<std::unique_ptr<Front>> fronts_;
  ServerFixture server_;
};

inline std::string streamed_text(const Answer& a, std::size_t index = 0) {
  std::string s;
  for (const auto& e : a.events)
    for (const auto& c : e["choices"])
      if (c["index"] == index)
        s += c.contains("delta") ? c["delta"].value("content", "") : c["text"].get<std::string>();
  return s;
}

}  // namespace sluice::test
