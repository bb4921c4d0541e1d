#include "tools/bench/engine_gemm.h"

#include <omp.h>

#include <chrono>
#include <dnnl.hpp>
#include <thread>
#include <vector>

#include "engine/dtype.h"
#include "tools/bench/bench_util.h"

namespace sluice::bench {
namespace {

using dnnl::memory;

/// Values of ordinary size: denormals and zeros would flatter or slow the multipliers.
void fill(memory& m, bool bf16) {
  const std::size_t bytes = m.get_desc().get_size();
  for (std::size_t i = 0; i < bytes / (bf16 ? 2 : 4); ++i) {
    const float f = 0.5F + static_cast<float>(i % 61) / 61.0F;
    if (bf16)
      static_cast<std::uint16_t*>(m.get_data_handle())[i] = engine::f32_to_bf16(f);
    else
      static_cast<float*>(m.get_data_handle())[i] = f;
  }
}

}  // namespace

struct ReferenceGemm::Impl {
  Impl(bool want_bf16, const Shape& s, std::uint32_t threads_) : shape(s), threads(threads_), bf16(want_bf16) {
    omp_set_num_threads(static_cast<int>(threads));
    try {
      prepare();
    } catch (const dnnl::error&) {
      if (!bf16) throw;
      bf16 = false;
      prepare();
    }
    fill(x, bf16);
    for (memory& m : w) fill(m, bf16);
  }

  void prepare() {
    const auto type = bf16 ? memory::data_type::bf16 : memory::data_type::f32;
    const memory::dim m = shape.m, n = shape.n, k = shape.k;
    const memory::desc xd({m, k}, type, memory::format_tag::ab), wd({k, n}, type, memory::format_tag::any);
    const memory::desc yd({m, n}, memory::data_type::f32, memory::format_tag::ab);
    const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(xd, wd, yd), engine);
    product = dnnl::matmul(pd);
    x = memory(xd, engine);
    w.clear();
    for (std::uint32_t c = 0; c < shape.copies; ++c) w.emplace_back(pd.weights_desc(), engine);
    y = memory(yd, engine);
  }

  Shape shape;
  std::uint32_t threads;
  bool bf16;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::matmul product;
  memory x, y;
  std::vector<memory> w;
};

ReferenceGemm::ReferenceGemm(engine::Precision precision, const Shape& shape, std::uint32_t threads)
    : impl_(std::make_unique<Impl>(precision == engine::Precision::bf16, shape, threads)) {}

ReferenceGemm::~ReferenceGemm() = default;

double ReferenceGemm::run() {
  Impl& i = *impl_;
  omp_set_num_threads(static_cast<int>(i.threads));
  const double s = seconds_of(i.threads, [&] {
    for (const memory& w : i.w)
      i.product.execute(i.stream, {{DNNL_ARG_SRC, i.x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, i.y}});
    i.stream.wait();
  });
  if (i.threads > 1) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return s;
}

double ReferenceGemm::flops() const noexcept {
  const Shape& s = impl_->shape;
  return 2.0 * s.m * s.n * s.k * s.copies;
}

std::string ReferenceGemm::name() const { return impl_->bf16 ? "oneDNN bf16 GEMM" : "oneDNN f32 GEMM"; }

}  // namespace sluice::bench
