#pragma once
// Internal to the HTTP server: what the answer must know of its request.
namespace sluice::coordinator {

struct RequestTraits {
  bool keep_alive = false;  // until the header says otherwise
  bool http10 = false;
  bool head_only = false;  // HEAD: no body in the answer
};

}  // namespace sluice::coordinator
