#pragma once
// Tells the service manager (systemd, Type=notify) what this process is about to do: a datagram to the socket that it
// named. Whoever has none, an empty path, has nobody to tell.
//
// Threading: any. Failure: the manager hears nothing, which is worth a warning and no more.
#include <string>
#include <string_view>

#include "common/result.h"

namespace sluice {

inline constexpr std::string_view kServiceReady = "READY=1";
inline constexpr std::string_view kServiceStopping = "STOPPING=1";
/// READY=1 follows, of this process or of the program that it has become.
[[nodiscard]] std::string service_reloading();

/// `socket`: a path, or with '@' in front a name of the abstract namespace.
[[nodiscard]] Result<void> tell_service_manager(const std::string& socket, std::string_view state);
/// The same for daemons: what goes wrong is logged.
void announce_service(const std::string& socket, std::string_view state);

}  // namespace sluice
