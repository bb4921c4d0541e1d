#pragma once
// Internal to the HTTP server: how many sockets a lane has open, those on their way to it among them.
// Threading: any thread. Lifetime: whoever has a seat shares the count.
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace sluice::coordinator {

class SeatCount : public std::enable_shared_from_this<SeatCount> {
 public:
  /// One socket's; dropping it gives the seat up.
  class Seat {
   public:
    Seat() = default;
    explicit Seat(std::shared_ptr<SeatCount> of) : of_(std::move(of)) { of_->taken_.fetch_add(1); }
    Seat(Seat&& other) noexcept = default;
    Seat& operator=(Seat&& other) noexcept {
      std::swap(of_, other.of_);
      other.give_up();
      return *this;
    }
    ~Seat() { give_up(); }
    void give_up() {
      if (const auto of = std::exchange(of_, nullptr)) of->taken_.fetch_sub(1);
    }

   private:
    std::shared_ptr<SeatCount> of_;
  };

  [[nodiscard]] Seat take() { return Seat(shared_from_this()); }
  [[nodiscard]] std::size_t taken() const noexcept { return taken_.load(); }

 private:
  std::atomic<std::size_t> taken_{0};
};

}  // namespace sluice::coordinator
