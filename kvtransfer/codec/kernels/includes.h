#pragma once
// What the generic*.inl and vector*.inl files use: they are included inside a namespace, so it has to come before them.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/bf16.h"
#include "kvtransfer/codec/kernels/prefetch.h"
#include "kvtransfer/codec/kernels/tables.h"
