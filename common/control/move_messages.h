#pragma once
// What coordinator and nodes say when a sequence moves between decode nodes, and when a node changes its role
// (docs/adr/0011). In the terms of messages.h; reading treats its input as hostile. Threading: values.
//
//   reserve{continues}  coordinator -> target, call       ReserveRequest
//   move                coordinator -> source, call       sends the KV, halts at `stop`
//   halted              source -> coordinator, notify     all of its tokens have been sent
//   go_on               coordinator -> target, call       those tokens: it decodes once its KV is there
//   moved               source -> coordinator, notify     the target has all of the KV, or the copy failed
//   stay                coordinator -> source, call       the move is off: it goes on there
//   cancel              coordinator -> source, call       as ever: it lets go
#include "common/control/messages.h"

namespace sluice::control {

namespace type {
inline constexpr const char* kMove = "move";
inline constexpr const char* kHalted = "halted";
inline constexpr const char* kGoOn = "go_on";
inline constexpr const char* kMoved = "moved";
inline constexpr const char* kStay = "stay";
inline constexpr const char* kRole = "role";  // coordinator -> node, call
}  // namespace type

/// stale: the sequence is beyond `stop` already; not_found: it is not here, or not decoding.
struct MoveRequest {
  RequestId request;
  std::uint32_t attempt = 0;  // under which the source has it
  nlohmann::json ticket;      // the target's; covers positions [0, stop)
  std::string data_address, data_key;
  std::string profile;     // lossless
  std::uint32_t stop = 0;  // positions computed here
  std::uint32_t timeout_ms = 60000;
  std::string trace_id;                 // the client's request
  std::string traceparent, tracestate;  // the leg's span; empty: not traced
};

struct MoveReply {
  std::uint32_t computed = 0;  // positions whose KV is there now
};

/// It has computed `stop` positions and made one token more. It keeps both until cancel or stay.
struct Halted {
  RequestId request;
  std::uint32_t attempt = 0;
  std::uint32_t tokens = 0;  // of prompt and answer: stop + 1
};

/// Tokens that came after those of the reserve call, so that the sequence has kv_tokens + 1. not_found: it is not here.
struct GoOnRequest {
  RequestId request;
  std::uint32_t attempt = 0;  // of the reserve call
  std::vector<TokenId> tokens;
};

/// not_found: it is not here. Without effect on one that does not move.
struct StayRequest {
  RequestId request;
  std::uint32_t attempt = 0;
};

/// What a copy came to. Seconds.
struct Moved {
  RequestId request;
  std::uint32_t attempt = 0;
  std::optional<Error> error;  // the target has not got all of it
  double wall_s = 0;           // move accepted until the target confirmed
  double exposed_s = 0;        // halted until the target confirmed
  std::uint64_t raw_bytes = 0, wire_bytes = 0;
};

struct RoleRequest {
  Role to = Role::prefill;
};

nlohmann::json to_json(const MoveRequest&);
nlohmann::json to_json(const MoveReply&);
nlohmann::json to_json(const Halted&);
nlohmann::json to_json(const GoOnRequest&);
nlohmann::json to_json(const StayRequest&);
nlohmann::json to_json(const Moved&);
nlohmann::json to_json(const RoleRequest&);

}  // namespace sluice::control
