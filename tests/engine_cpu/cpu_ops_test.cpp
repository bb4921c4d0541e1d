#include "engine/cpu/cpu_features.h"
#include "tests/engine_cpu/support.h"

using namespace sluice::engine;
using namespace sluice::engine::test;
using sluice::Errc;

TEST_CASE("an unknown instruction set is refused by name", "[engine_cpu]") {
  const auto ops = make_cpu_ops(Precision::f32, "sse9", 1);
  REQUIRE_FALSE(ops.has_value());
  REQUIRE(ops.error().code == Errc::invalid_argument);
  REQUIRE(ops.error().message.find("sse9") != std::string::npos);
}

TEST_CASE("auto takes the best this machine has, and says which", "[engine_cpu]") {
  const auto has = cpu::cpu_features();
  const auto ops = ops_for("auto", Precision::bf16, 1);
  const char* plain = has.avx512 ? "avx512" : has.avx2 ? "avx2" : "scalar";
  REQUIRE(ops->backend() == (has.avx512_bf16 ? "avx512_bf16" : plain));
  REQUIRE(ops_for("auto", Precision::f32, 1)->backend() == plain);  // no bf16 product, no other bits
  REQUIRE(ops->precision() == Precision::bf16);
}

TEST_CASE("backends whose bf16 products round otherwise have other names", "[engine_cpu]") {
  if (!cpu::cpu_features().avx512_bf16) SLUICE_SKIP("no AVX512_BF16 here");
  REQUIRE(ops_for("avx512", Precision::bf16, 1)->backend() == "avx512_bf16");
  REQUIRE(ops_for("avx512_nobf16", Precision::bf16, 1)->backend() == "avx512");
}

TEST_CASE("a missing instruction set is refused as unsupported", "[engine_cpu]") {
  if (cpu::cpu_features().avx512) SLUICE_SKIP("this CPU has every instruction set there are kernels for");
  const auto ops = make_cpu_ops(Precision::f32, "avx512", 1);
  REQUIRE_FALSE(ops.has_value());
  REQUIRE(ops.error().code == Errc::unsupported);
}
