#include "coordinator/http/body_reader.h"

#include <chrono>
#include <utility>

namespace sluice::coordinator {

namespace asio = boost::asio;

namespace {

TimePoint now() { return std::chrono::steady_clock::now(); }

ApiError no_place() {
  return ApiError::from(Error{Errc::resource_exhausted,
                              "Large requests of yours are still being read; wait for their answers, or try again "
                              "later.",
                              {}},
                        std::chrono::seconds(5));
}

}  // namespace

std::string BodyReader::client(const HttpRequest& request) const {
  if (request.caller && !request.caller->key_id.empty()) return "key " + request.caller->key_id;
  return {with_.seat.peer.begin(), with_.seat.peer.end()};
}

asio::awaitable<std::shared_ptr<BodyGate::Place>> BodyReader::take_place(std::string client, std::size_t bytes) {
  const auto deadline = now() + with_.core.options.body_timeout;
  auto place = with_.core.bodies->enter(std::move(client), bytes,
                                        {with_.stream.get_executor(), [wake = &with_.wake, owner = with_.owner] {
                                           if (const auto alive = owner.lock()) wake->notify();
                                         }});
  while (!place->inside() && with_.stream.is_open() && !with_.in.gone() && now() < deadline)
    co_await with_.wake.wait(deadline);
  if (!place->inside()) place.reset();
  co_return place;
}

asio::awaitable<void> BodyReader::let_it_come(const HttpRequest& request) {
  if (reader_.complete() || !with_.in.bytes().empty() || traits_.http10 || !request.headers.find("expect")) co_return;
  with_.out.interim_continue();
  co_await with_.flush();
}

asio::awaitable<std::optional<ApiError>> BodyReader::read(HttpRequest& request) {
  if (reader_.complete()) co_return co_await reader_.body(request);
  auto& evictable = with_.core.evictable;
  std::shared_ptr<BodyGate::Place> place;
  const auto small = with_.core.options.free_body_bytes;
  evictable.read_body(with_.seat, now());
  if (!reader_.sized()) {  // most are small
    co_await let_it_come(request);
    if (auto e = co_await reader_.begin_body(small)) {
      evictable.leave(with_.seat);
      co_return e;
    }
  }
  if (!reader_.complete() && reader_.most_bytes() > small) {
    evictable.wait(with_.seat);
    place = co_await take_place(client(request), reader_.most_bytes());
    evictable.leave(with_.seat);
    if (!place) co_return no_place();
    evictable.read_body(with_.seat, now());
  }
  co_await let_it_come(request);
  auto error = co_await reader_.body(request);
  evictable.leave(with_.seat);
  if (place && !error) place->shrink(request.body.size());
  request.place = std::move(place);
  co_return error;
}

}  // namespace sluice::coordinator
