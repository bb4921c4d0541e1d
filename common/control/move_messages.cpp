#include "common/control/move_messages.h"

#include "common/control/message_fields.h"

namespace sluice::control {

using nlohmann::json;

template <class V>
void fields(V& v, Of<V, MoveRequest> m) {
  v.need("request", m.request);
  v.need("attempt", m.attempt);
  v.need("ticket", m.ticket);
  v.need("data_address", m.data_address);
  v.want("data_key", m.data_key);
  v.need("profile", m.profile);
  v.need("stop", m.stop, NumberRange<std::uint32_t>{.least = 1});
  v.want("timeout_ms", m.timeout_ms);
  v.want("trace_id", m.trace_id);
  v.spare("traceparent", m.traceparent, Length{.most = kMaxTraceparent});
  v.spare("tracestate", m.tracestate, Length{.most = kMaxTracestate});
}

template <class V>
void fields(V& v, Of<V, MoveReply> m) {
  v.need("computed", m.computed);
}

template <class V>
void fields(V& v, Of<V, Halted> m) {
  v.need("request", m.request);
  v.need("attempt", m.attempt);
  v.need("tokens", m.tokens);
}

template <class V>
void fields(V& v, Of<V, GoOnRequest> m) {
  v.need("request", m.request);
  v.need("attempt", m.attempt);
  v.need_packed("tokens", m.tokens);
}

template <class V>
void fields(V& v, Of<V, StayRequest> m) {
  v.need("request", m.request);
  v.need("attempt", m.attempt);
}

template <class V>
void fields(V& v, Of<V, Moved> m) {
  v.need("request", m.request);
  v.need("attempt", m.attempt);
  v.want("error", m.error);
  v.want("wall_s", m.wall_s);
  v.want("exposed_s", m.exposed_s);
  v.want("raw_bytes", m.raw_bytes);
  v.want("wire_bytes", m.wire_bytes);
}

template <class V>
void fields(V& v, Of<V, RoleRequest> m) {
  v.need("to", m.to, kRoles);
}

SLUICE_MESSAGE(MoveRequest, type::kMove)
SLUICE_MESSAGE(MoveReply, "move reply")
SLUICE_MESSAGE(Halted, type::kHalted)
SLUICE_MESSAGE(GoOnRequest, type::kGoOn)
SLUICE_MESSAGE(StayRequest, type::kStay)
SLUICE_MESSAGE(Moved, type::kMoved)
SLUICE_MESSAGE(RoleRequest, type::kRole)

}  // namespace sluice::control
