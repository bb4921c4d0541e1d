// Any CBOR or JSON text as a ticket: refused by a field's name, or read so that writing it again gives the same ticket.
//
// Input: 1 for text, else CBOR; then the document.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "kvtransfer/wire/ticket.h"

using namespace sluice::kv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::uint8_t* begin = data + 1;
  const std::uint8_t* end = data + size;
  const auto j = data[0] & 1 ? nlohmann::json::parse(begin, end, nullptr, false)
                             : nlohmann::json::from_cbor(begin, end, true, false);
  if (j.is_discarded()) return 0;
  const auto t = ticket_from_json(j);
  if (!t) return 0;
  const auto again = ticket_from_json(to_json(*t));
  if (!again || *again != *t) std::abort();
  return 0;
}
