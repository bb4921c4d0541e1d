// transport_test_peer TLS: listens on a free port, prints the address, swallows what comes, waits to be killed.
#include <cstdio>
#include <thread>
#include <vector>

#include "kvtransfer/transport/transport.h"

namespace {

class Swallow final : public sluice::kv::TransportHandler {
 public:
  void on_connected(sluice::kv::ConnId, bool) override {}
  std::span<std::byte> on_payload(sluice::kv::ConnId, sluice::kv::MessageId, std::span<const std::byte>,
                                  std::size_t) override {
    return {};
  }
  void on_message(sluice::kv::ConnId, sluice::kv::MessageId, std::span<const std::byte>,
                  std::span<std::byte>) override {}
  void on_closed(sluice::kv::ConnId, const sluice::Error&) override {}
};

}  // namespace

int main(int argc, char** argv) {
  Swallow handler;
  sluice::kv::UcxOptions o;
  if (argc > 1) o.tls = argv[1];
  auto t = sluice::kv::make_ucx_transport(o, handler);
  if (!t) return 1;
  const auto address = (*t)->listen("127.0.0.1:0");
  if (!address) return 1;
  std::printf("%s\n", address->c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
