// Any CBOR, as the control plane reads it, or JSON text as a ticket: refused by a field's name, or read so that writing
// it again gives the same ticket.
//
// Input: 1 for text, else CBOR; then the document.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <span>

#include "common/control/rpc.h"
#include "kvtransfer/wire/ticket.h"

using namespace sluice::kv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::span document(data + 1, size - 1);
  nlohmann::json j;
  if (data[0] & 1) {
    j = nlohmann::json::parse(document.begin(), document.end(), nullptr, false);
  } else if (auto cbor = sluice::control::decode_cbor(document)) {
    j = std::move(*cbor);
  }
  if (j.is_discarded()) return 0;
  const auto t = ticket_from_json(j);
  if (!t) return 0;
  const auto again = ticket_from_json(to_json(*t));
  if (!again || *again != *t) std::abort();
  return 0;
}
