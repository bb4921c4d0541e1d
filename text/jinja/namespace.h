#pragma once
// namespace(): the one value that a template may change.
#include "text/jinja/dict.h"

namespace sluice::text::jinja {

struct Namespace {
  Dict attributes;
};

}  // namespace sluice::text::jinja
