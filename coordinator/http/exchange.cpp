#include "coordinator/http/exchange.h"

#include <utility>

#include "coordinator/http/connection.h"

namespace sluice::coordinator {

Exchange::~Exchange() {
  if (state_ == State::done || cut_) return;
  if (auto c = connection_.lock()) c->abandoned(state_ == State::streaming);
}

void Exchange::complete() {
  state_ = State::done;
  gone_ = nullptr;
}

void Exchange::respond(HttpResponse response) {
  if (state_ != State::waiting || cut_) return;
  complete();
  if (auto c = connection_.lock()) c->send_response(response);
}

std::shared_ptr<StreamWriter> Exchange::begin_stream(int status, HttpHeaders headers) {
  if (state_ == State::waiting && !cut_) {
    state_ = State::streaming;
    if (auto c = connection_.lock()) c->send_stream_head(status, headers);
  }
  return shared_from_this();
}

void Exchange::write(std::string_view bytes) {
  if (state_ != State::streaming || cut_) return;
  if (auto c = connection_.lock()) c->send_chunk(bytes);
}

void Exchange::finish() {
  if (state_ != State::streaming || cut_) return;
  complete();
  if (auto c = connection_.lock()) c->send_stream_end();
}

void Exchange::on_disconnect(std::function<void(Disconnect)> gone) {
  if (state_ == State::done) return;
  if (cut_)
    gone(*cut_);
  else
    gone_ = std::move(gone);
}

void Exchange::keep_alive(std::string comment, std::function<void()> begin) {
  if (state_ == State::done || cut_) return;
  if (auto c = connection_.lock()) c->keep_alive(std::move(comment), std::move(begin));
}

void Exchange::cut(Disconnect why) {
  if (state_ == State::done || cut_) return;
  cut_ = why;
  auto gone = std::exchange(gone_, nullptr);
  auto c = connection_.lock();
  // Posted: a cut can happen inside the handler's own write().
  if (gone && c) c->post([gone = std::move(gone), why] { gone(why); });
}

}  // namespace sluice::coordinator
