// What a coordinator costs on its way between clients and nodes: CPU time of its process per streamed token and per
// short request, and how long it keeps them. The real program, its nodes and its clients in this process; the reference
// is a bare relay (front_relay.h), a process too, that carries as many bytes over the same hops.
//
//   sluice-bench front [-- MODEL_DIR [COORDINATOR [streams|requests]]]
//
// Default: models/sluice-tiny, sluice-coordinator beside this one, both.
//
// A short request is a streamed chat with a prompt of 20 words and one token of answer, its prompt prefilled on another
// node than it is decoded on: the longest way there is. CPU time counts all threads, those that read prompts, too.
#include <filesystem>

#include "tools/bench/bench_util.h"
#include "tools/bench/front_load.h"
#include "tools/bench/front_relay.h"

namespace sluice::bench {
namespace {

constexpr std::size_t kStreamsOfANode = 64;

struct Programs {
  std::string model, coordinator;
};

/// A front is measured in a process of its own each time: what an earlier load left in it is not this one's.
template <class Load>
auto beside_coordinator(const Programs& p, std::size_t clients, std::size_t nodes, NodeBytes& bytes, Load load)
    -> decltype(load(std::declval<const FrontUnderLoad&>())) {
  boost::asio::io_context io;
  SLUICE_ASSIGN(const FrontProcess process, FrontProcess::coordinator(p.coordinator, p.model));
  const auto joined = CoordinatorNodes::join(io, process.control(), nodes);
  while (!joined->ready())
    if (io.run_one_for(std::chrono::seconds(10)) == 0) return fail(Errc::unavailable, "no node could register");
  SLUICE_ASSIGN(const auto connected, FrontClients::connect(io, process.http(), clients));
  const auto figures = load(FrontUnderLoad{io, process, *joined, *connected});
  bytes = joined->bytes();
  return figures;
}

template <class Load>
auto beside_relay(const RelaySizes& sizes, std::size_t clients, std::size_t nodes, const NodeBytes& bytes, Load load)
    -> decltype(load(std::declval<const FrontUnderLoad&>())) {
  boost::asio::io_context io;
  SLUICE_ASSIGN(const FrontProcess process, FrontProcess::relay(sizes.arguments()));
  SLUICE_ASSIGN(const auto joined, join_relay(io, process.control(), nodes, bytes));
  SLUICE_ASSIGN(const auto connected, FrontClients::connect(io, process.http(), clients));
  return load(FrontUnderLoad{io, process, *joined, *connected});
}

Figure against(std::string name, double value, double reference) {
  return {std::move(name), value, "us", Measured{"bare relay", reference, "us"}};
}

Result<> measure_streams(const Programs& p, const StreamLoad& load, std::vector<Figure>& out) {
  NodeBytes bytes;
  const auto run = [&](const FrontUnderLoad& f) { return load_streams(f, load); };
  SLUICE_ASSIGN(const StreamFigures mine, beside_coordinator(p, load.streams, load.nodes, bytes, run));
  const RelaySizes sizes{stream_request(0, kMostStreamed).size(), bytes.reserve, bytes.prefill,
                         static_cast<std::size_t>(mine.event_bytes)};
  SLUICE_ASSIGN(const StreamFigures bare, beside_relay(sizes, load.streams, load.nodes, bytes, run));
  const std::string what = fmt::format("{} streams, {:.0f} tokens/s", load.streams, load.tokens_per_s);
  out.push_back(against("CPU per token, " + what, mine.cpu_us, bare.cpu_us));
  out.push_back(against("of it the main thread, " + what, mine.main_us, bare.main_us));
  out.push_back(against("node to client, p50, " + what, mine.relay_p50_us, bare.relay_p50_us));
  out.push_back(against("node to client, p99, " + what, mine.relay_p99_us, bare.relay_p99_us));
  out.push_back({"came about, " + what, mine.tokens_per_s, "tokens/s", {}});
  return {};
}

Result<> measure_requests(const Programs& p, std::size_t at_once, double seconds, std::vector<Figure>& out) {
  NodeBytes bytes;
  const std::size_t nodes = (at_once + kStreamsOfANode - 1) / kStreamsOfANode;
  const auto run = [&](const FrontUnderLoad& f) { return load_requests(f, at_once, seconds); };
  SLUICE_ASSIGN(const RequestFigures mine, beside_coordinator(p, at_once, nodes, bytes, run));
  const RelaySizes sizes{stream_request(0, kShortAnswer).size(), bytes.reserve, bytes.prefill, kEventBytes};
  SLUICE_ASSIGN(const RequestFigures bare, beside_relay(sizes, at_once, nodes, bytes, run));
  const std::string what = fmt::format("{} at once", at_once);
  out.push_back(against("CPU per short request, " + what, mine.cpu_us, bare.cpu_us));
  out.push_back(against("of it the main thread, " + what, mine.main_us, bare.main_us));
  out.push_back(against("TTFT, nodes take no time, p50, " + what, mine.ttft_p50_us, bare.ttft_p50_us));
  out.push_back({"came about, " + what, mine.requests_per_s, "requests/s", {}});
  return {};
}

SuiteResult run_front_suite(const BenchOptions& o) {
  if (!o.arguments.empty() && o.arguments.front() == "relay") {
    SLUICE_TRY(run_relay({o.arguments.begin() + 1, o.arguments.end()}));
    return std::vector<Figure>{};
  }
  const auto argument = [&](std::size_t i, std::string otherwise) {
    return i < o.arguments.size() ? o.arguments[i] : std::move(otherwise);
  };
  const Programs p{argument(0, "models/sluice-tiny"),
                   argument(1, (std::filesystem::path(self_path()).parent_path() / "sluice-coordinator").string())};
  const double s = o.quick ? 0.5 : 3;
  const std::string only = argument(2, "both");
  if (only != "both" && only != "streams" && only != "requests")
    return fail(Errc::invalid_argument, "the third word is streams or requests, not '{}'", only);
  std::vector<Figure> figures;
  for (const StreamLoad& load :
       {StreamLoad{1, 1, 1000, s}, StreamLoad{64, 1, 20'000, s}, StreamLoad{512, 512 / kStreamsOfANode, 20'000, s},
        StreamLoad{64, 1, 50'000, s}, StreamLoad{512, 512 / kStreamsOfANode, 50'000, s}})
    if (only != "requests") SLUICE_TRY(measure_streams(p, load, figures));
  for (const std::size_t at_once : {1U, 64U, 512U})
    if (only != "streams") SLUICE_TRY(measure_requests(p, at_once, s, figures));
  return figures;
}

const SuiteRegistration registration{"front", "what a coordinator costs per token and per request", run_front_suite};

}  // namespace
}  // namespace sluice::bench
