#pragma once
// What a TLS endpoint shows and whom it believes: a certificate with its key, and the authorities it trusts. Immutable:
// new files make a new Context, and connections keep theirs.
//
// TLS 1.2 and 1.3, forward secrecy and authenticated ciphers only, no renegotiation. A server that demands certificates
// resumes no sessions: a resumed one would not be checked against authorities that changed.
// Where revoked certificates are listed, every certificate of a peer up to its authority is looked up, and one whose
// authority has no list there, or only one that ran out, is refused: a list that is missing must not let anybody in.
// Threading: immutable after load(); share freely. Failure: words that name the file and what to do. The key file must
// be private (common/secret_file.h) and without a passphrase: a daemon has nobody to ask.
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "common/result.h"

struct ssl_ctx_st;

namespace sluice::tls {

enum class Side { server, client };

/// PEM files, by name; empty: none.
struct Files {
  std::string cert;  // the own certificate, then those between it and its authority
  std::string key;
  std::string ca;        // authorities that the peer's certificate may come from
  std::string crl = {};  // lists of what these have revoked; with it, one of every authority is needed
};

/// The time in which certificates are good.
struct Lifetime {
  std::chrono::system_clock::time_point begins, ends;
};

struct ContextOptions {
  Side side = Side::client;
  /// A server needs cert and key, and with `ca` it demands a certificate of every client. A client needs none of them:
  /// without `ca` it believes the authorities of the system.
  Files files;
};

class Context {
 public:
  [[nodiscard]] static Result<std::shared_ptr<const Context>> load(const ContextOptions& o);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] Side side() const noexcept { return side_; }
  /// Of what `cert` holds, up to the first that ends; nothing when there is none.
  [[nodiscard]] const std::optional<Lifetime>& own() const noexcept { return own_; }
  /// Of the authority in `ca` that ends first; nothing when there is none.
  [[nodiscard]] const std::optional<Lifetime>& authority() const noexcept { return authority_; }
  /// Of the list of revoked certificates that ends first; nothing when there is none.
  [[nodiscard]] const std::optional<Lifetime>& revocations() const noexcept { return revocations_; }
  /// For this room.
  [[nodiscard]] ssl_ctx_st* get() const noexcept { return ctx_; }

 private:
  Context(ssl_ctx_st* ctx, Side side) : ctx_(ctx), side_(side) {}
  ssl_ctx_st* ctx_;
  Side side_;
  std::optional<Lifetime> own_, authority_, revocations_;
};

}  // namespace sluice::tls
