#include "coordinator/http/relay.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace sluice::coordinator {

namespace asio = boost::asio;

namespace {

/// The real responder, on its connection's thread.
struct Near {
  std::shared_ptr<Responder> out;
  std::shared_ptr<StreamWriter> writer;
  std::string comment;

  void begin(int status, HttpHeaders headers) {
    writer = out->begin_stream(status, std::move(headers));
    if (!comment.empty()) out->keep_alive(comment, {});  // a silence may have ended while this was on its way
  }
};

/// What the handler holds.
class Far final : public Responder, public StreamWriter, public std::enable_shared_from_this<Far> {
 public:
  Far(asio::io_context& here, asio::io_context& there, std::shared_ptr<Responder> out)
      : here_(here), there_(there), near_(std::make_shared<Near>(Near{std::move(out), nullptr, {}})) {}
  ~Far() override {
    asio::post(here_, [near = std::move(near_)] {});  // dropped there
  }

  void respond(HttpResponse response) override {
    if (begun_ || closed()) return;
    complete();
    tell([r = std::move(response)](Near& n) mutable { n.out->respond(std::move(r)); });
  }
  std::shared_ptr<StreamWriter> begin_stream(int status, HttpHeaders headers) override {
    if (!closed() && !std::exchange(begun_, true))
      tell([status, h = std::move(headers)](Near& n) mutable { n.begin(status, std::move(h)); });
    return shared_from_this();
  }
  void on_disconnect(std::function<void(Disconnect)> gone) override {
    if (done_) return;
    if (cut_)
      gone(*cut_);
    else
      gone_ = std::move(gone);
  }
  void keep_alive(std::string comment, std::function<void()> begin) override {
    if (closed()) return;
    silence_ends_ = std::move(begin);
    tell([comment = std::move(comment), weak = weak_from_this(), there = &there_](Near& n) {
      n.comment = comment;
      n.out->keep_alive(comment, [weak, there] {
        asio::post(*there, [weak] {
          if (const auto far = weak.lock()) far->end_silence();
        });
      });
    });
  }
  void write(std::string_view bytes) override {
    if (!begun_ || closed()) return;
    tell([b = std::string(bytes)](Near& n) { n.writer->write(b); });
  }
  void finish() override {
    if (!begun_ || closed()) return;
    complete();
    tell([](Near& n) { n.writer->finish(); });
  }
  [[nodiscard]] bool closed() const override { return done_ || cut_.has_value(); }

  void cut(Disconnect why) {
    if (closed()) return;
    cut_ = why;
    if (const auto gone = std::exchange(gone_, nullptr)) gone(why);
  }
  void end_silence() {
    if (const auto begin = std::exchange(silence_ends_, nullptr); begin && !begun_ && !closed()) begin();
  }

 private:
  template <class F>
  void tell(F f) {
    asio::post(here_, [near = near_, f = std::move(f)]() mutable { f(*near); });
  }
  void complete() {
    done_ = true;
    gone_ = nullptr;
  }

  asio::io_context& here_;
  asio::io_context& there_;
  std::shared_ptr<Near> near_;  // touched by what is posted to `here`
  std::optional<Disconnect> cut_;
  bool begun_ = false;  // a stream
  bool done_ = false;
  std::function<void(Disconnect)> gone_;
  std::function<void()> silence_ends_;
};

}  // namespace

HttpHandler relayed(HttpHandler handler, asio::io_context& here, asio::io_context& there) {
  return [handler = std::make_shared<const HttpHandler>(std::move(handler)), &here, &there](
             HttpRequest request, std::shared_ptr<Responder> out) {
    auto far = std::make_shared<Far>(here, there, out);
    out->on_disconnect([weak = std::weak_ptr(far), &there](Disconnect why) {
      asio::post(there, [weak, why] {
        if (const auto f = weak.lock()) f->cut(why);
      });
    });
    asio::post(there, [handler, request = std::move(request), far = std::move(far)]() mutable {
      call_handler(*handler, std::move(request), std::move(far));
    });
  };
}

}  // namespace sluice::coordinator
