#pragma once
// One TLS connection without a socket: what the peer sent goes in, what it should get comes out. OpenSSL does the work
// on memory; Stream moves the bytes.
// Threading: one thread at a time, any. Bounds: what is fed is kept until it is read; feed no more before read() asks.
// Failure: an error in words ends the session; what take_output() has then (an alert) should still be sent.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/tls/context.h"
#include "common/tls/peer.h"

namespace sluice::tls {

class Session {
 public:
  /// A client names the host it means, and the certificate must be that host's; empty: any host's (the caller checks
  /// the peer's role instead).
  Session(std::shared_ptr<const Context> context, const std::string& host);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// The next step of the handshake. True: it is complete. False: the peer has to send more.
  [[nodiscard]] Result<bool> handshake();
  void feed(std::string_view ciphertext);
  /// Decrypts into `to`: how many bytes; 0: the peer has to send more, or has ended (ended()).
  [[nodiscard]] Result<std::size_t> read(char* to, std::size_t room);
  /// Encrypts all of it.
  [[nodiscard]] Result<> write(std::string_view plain);
  /// Says that nothing more follows, if that can be said.
  void end();
  /// The peer has said that nothing more follows.
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] std::string take_output();

  /// After the handshake; nothing: it showed no certificate.
  [[nodiscard]] const std::optional<Peer>& peer() const noexcept { return peer_; }

 private:
  struct Ssl;
  [[nodiscard]] Result<bool> done();
  [[nodiscard]] std::unexpected<Error> problem();

  std::shared_ptr<const Context> context_;
  std::unique_ptr<Ssl> ssl_;
  std::optional<Peer> peer_;
  bool established_ = false;
  bool ended_ = false;
  bool failed_ = false;
};

}  // namespace sluice::tls
