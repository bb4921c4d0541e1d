#pragma once
// namespace(): the one value that a template may change.
#include "text/jinja/dict.h"

namespace sluice::text::jinja {

struct Namespace {
  Dict attributes;
};

/// transformers refuses names that might reach into Python.
inline void check_attribute(std::string_view name) {
  if (name.starts_with('_'))
    fault(
        "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '{}'. Please rename the "
        "attribute.",
        name);
}

}  // namespace sluice::text::jinja
