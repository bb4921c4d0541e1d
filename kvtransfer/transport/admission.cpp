#include "kvtransfer/transport/admission.h"

namespace sluice::kv {

void Admission::answer(Greeting& ours, const Greeting& theirs) const {
  if (theirs.proof && !own_key_.empty()) ours.proof = prove(own_key_, ours, theirs.key);
}

void Admission::approach(ConnId conn, const std::string& address, Greeting& ours) {
  const auto known = keys_.find(address);
  if (known == keys_.end()) return;
  ours.proof = prove(known->second, ours, 0);
  demanded_[conn] = known->second;
}

bool Admission::believes(ConnId conn, const Greeting& theirs, std::uint64_t ours) const {
  const auto demanded = demanded_.find(conn);
  return demanded == demanded_.end() || proves(demanded->second, theirs, ours);
}

}  // namespace sluice::kv
