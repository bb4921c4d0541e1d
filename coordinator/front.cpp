#include "coordinator/front.h"

#include "coordinator/api/messages/routes.h"

namespace sluice::coordinator {

Front::Front(boost::asio::io_context& io, Backend& backend, const FrontUses& uses)
    : desk_(io, uses.prompts),
      router_(backend, desk_, &uses.tenants, uses.tracing),
      responses_(router_, uses.responses),
      observer_(io, uses.metrics) {}

void Front::add_routes(HttpRoutes& routes) {
  router_.add_routes(routes);
  responses_.add_routes(routes);
  add_messages_routes(routes, router_);
}

}  // namespace sluice::coordinator
