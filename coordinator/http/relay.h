#pragma once
// A route that is answered on another thread than its connection's. The request goes there as a value; what its handler
// does with its responder comes back, in order, to the lane's thread, which alone touches the connection.
//
// Threading: the handler and its responder are `there`'s, the real responder and stream are `here`'s; neither is seen
// by the other. A client's end is told `there` a moment later than it happened. Lifetime: both io_contexts outlive the
// responders. Failure: as without a relay; a handler that drops its responder has the real one dropped.
#include <boost/asio/io_context.hpp>

#include "coordinator/http/routes.h"

namespace sluice::coordinator {

/// `handler`, called on `there`, as a handler of a lane that is `here`.
[[nodiscard]] HttpHandler relayed(HttpHandler handler, boost::asio::io_context& here, boost::asio::io_context& there);

}  // namespace sluice::coordinator
