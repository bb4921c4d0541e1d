#include "text/grammar/source/formats.h"

#include <array>
#include <unordered_map>

namespace sluice::text::grammar {
namespace {

// Pieces are macros so that the patterns are constants.
#define SLUICE_LEAP "(\\d\\d(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
#define SLUICE_YEAR "(\\d{3}[1-9]|\\d{2}[1-9]0|\\d[1-9]00|[1-9]000)"
#define SLUICE_DAY                                                                                     \
  "(" SLUICE_YEAR                                                                                      \
  "-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))" \
  "|" SLUICE_LEAP "-02-29)"
#define SLUICE_TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define SLUICE_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define SLUICE_HOST SLUICE_LABEL "(\\." SLUICE_LABEL ")*"
#define SLUICE_BYTE "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define SLUICE_IPV4 SLUICE_BYTE "(\\." SLUICE_BYTE "){3}"
#define SLUICE_H16 "[0-9A-Fa-f]{1,4}"
#define SLUICE_LS32 "(" SLUICE_H16 ":" SLUICE_H16 "|" SLUICE_IPV4 ")"
#define SLUICE_IPV6                                                                                                   \
  "(" SLUICE_H16 ":){6}" SLUICE_LS32 "|::(" SLUICE_H16 ":){5}" SLUICE_LS32 "|(" SLUICE_H16 ")?::(" SLUICE_H16         \
  ":){4}" SLUICE_LS32 "|((" SLUICE_H16 ":){0,1}" SLUICE_H16 ")?::(" SLUICE_H16 ":){3}" SLUICE_LS32 "|((" SLUICE_H16   \
  ":){0,2}" SLUICE_H16 ")?::(" SLUICE_H16 ":){2}" SLUICE_LS32 "|((" SLUICE_H16 ":){0,3}" SLUICE_H16 ")?::" SLUICE_H16 \
  ":" SLUICE_LS32 "|((" SLUICE_H16 ":){0,4}" SLUICE_H16 ")?::" SLUICE_LS32 "|((" SLUICE_H16 ":){0,5}" SLUICE_H16      \
  ")?::" SLUICE_H16 "|((" SLUICE_H16 ":){0,6}" SLUICE_H16 ")?::"
#define SLUICE_UNRESERVED "A-Za-z0-9._~\\-"
#define SLUICE_DELIMS "!$&'()*+,;="
#define SLUICE_PERCENT "%[0-9A-Fa-f]{2}"
#define SLUICE_PCHAR "([" SLUICE_UNRESERVED SLUICE_DELIMS ":@]|" SLUICE_PERCENT ")"
#define SLUICE_URI_HOST "(\\[(" SLUICE_IPV6 ")\\]|([" SLUICE_UNRESERVED SLUICE_DELIMS "]|" SLUICE_PERCENT ")*)"
#define SLUICE_AUTHORITY \
  "(([" SLUICE_UNRESERVED SLUICE_DELIMS ":]|" SLUICE_PERCENT ")*@)?" SLUICE_URI_HOST "(:\\d{0,5})?"
#define SLUICE_QUERY "(\\?(" SLUICE_PCHAR "|[/?])*)?(#(" SLUICE_PCHAR "|[/?])*)?"
#define SLUICE_URI                                                                                          \
  "[A-Za-z][A-Za-z0-9+.-]*:(//" SLUICE_AUTHORITY "(/" SLUICE_PCHAR "*)*|/(" SLUICE_PCHAR "+(/" SLUICE_PCHAR \
  "*)*)?|" SLUICE_PCHAR "+(/" SLUICE_PCHAR "*)*)" SLUICE_QUERY
#define SLUICE_SEGMENT_NO_COLON "([" SLUICE_UNRESERVED SLUICE_DELIMS "@]|" SLUICE_PERCENT ")+"
#define SLUICE_RELATIVE                                                                                              \
  "(//" SLUICE_AUTHORITY "(/" SLUICE_PCHAR "*)*|/(" SLUICE_PCHAR "+(/" SLUICE_PCHAR "*)*)?|" SLUICE_SEGMENT_NO_COLON \
  "(/" SLUICE_PCHAR "*)*)?" SLUICE_QUERY

struct Entry {
  std::string_view name, pattern;
};
constexpr std::array kFormats{
    Entry{"date", SLUICE_DAY},
    Entry{"time", SLUICE_TIME},
    Entry{"date-time", SLUICE_DAY "T" SLUICE_TIME},
    Entry{"duration",
          "P(\\d{1,9}W|((\\d{1,9}Y(\\d{1,9}M(\\d{1,9}D)?)?|\\d{1,9}M(\\d{1,9}D)?|\\d{1,9}D)"
          "(T(\\d{1,9}H(\\d{1,9}M(\\d{1,9}S)?)?|\\d{1,9}M(\\d{1,9}S)?|\\d{1,9}S))?"
          "|T(\\d{1,9}H(\\d{1,9}M(\\d{1,9}S)?)?|\\d{1,9}M(\\d{1,9}S)?|\\d{1,9}S)))"},
    Entry{"email", "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@" SLUICE_HOST},
    Entry{"hostname", SLUICE_HOST},
    Entry{"ipv4", SLUICE_IPV4},
    Entry{"ipv6", SLUICE_IPV6},
    Entry{"uri", SLUICE_URI},
    Entry{"uri-reference", "(" SLUICE_URI "|" SLUICE_RELATIVE ")"},
    Entry{"uuid", "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"},
    Entry{"json-pointer", "(/([^~/]|~[01])*)*"},
    Entry{"relative-json-pointer", "(0|[1-9]\\d*)(#|(/([^~/]|~[01])*)*)"},
    Entry{"password", ""},
};

}  // namespace

std::optional<Format> string_format(std::string_view name) {
  for (const auto& f : kFormats)
    if (f.name == name) return Format{f.pattern};
  return std::nullopt;
}

std::string_view format_names() {
  return "date, time, date-time, duration, email, hostname, ipv4, ipv6, uri, uri-reference, uuid, json-pointer, "
         "relative-json-pointer";
}

}  // namespace sluice::text::grammar
