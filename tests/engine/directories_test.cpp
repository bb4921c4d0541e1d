// The kinds of directory that transformers loads: each gives transformers' result here too, or is refused in words.
// It began with a fine-tune whose flag said that head and embedding are one, when they were not: transformers 5 used
// the head, this engine the embedding, and nobody was told.
#include "tests/engine/directories.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "engine/model/model_tensors.h"
#include "tests/engine/model_runs.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::engine;
using namespace sluice::test;
using nlohmann::json;

namespace {

constexpr double kTolerance = 2e-4;

double worst(std::span<const float> got, std::span<const float> want) {
  REQUIRE(got.size() == want.size());
  double out = 0;
  for (std::size_t i = 0; i < got.size(); ++i) out = std::max(out, std::abs(double{got[i]} - want[i]));
  return out;
}

// What loading the directory says that it ignores.
std::string notes(const std::filesystem::path& dir) {
  const auto config = load_model_config(dir);
  REQUIRE(config);
  const auto checkpoint = Checkpoint::open(dir);
  REQUIRE(checkpoint);
  const auto tensors = select_tensors(*config, checkpoint->tensors(), checkpoint->source());
  REQUIRE(tensors);
  std::string out;
  for (const auto* list : {&config->notes, &tensors->notes})
    for (const std::string& note : *list) out += note + "\n";
  return out;
}

}  // namespace

TEST_CASE("each kind of model directory gives what transformers gives, or is refused in words", "[golden]") {
  const Directories directories;
  const std::vector<TokenId> prompt = directories.prompt();
  for (const auto& [name, of_case] : directories.cases().items()) {
    INFO(name);
    const TempDir root;
    const auto dir = directories.write(of_case, root.path());
    auto model = Model::load(dir, {.precision = Precision::f32, .threads = 1});
    if (of_case.contains("refused")) {
      REQUIRE_FALSE(model);
      INFO(model.error().message);
      CHECK_THAT(model.error().message, Catch::Contains(of_case["refused"].get<std::string>()));
      CHECK_THAT(model.error().message, Catch::StartsWith(dir.string()));  // names the file
      continue;
    }
    if (!model) FAIL(name << ": " << model.error().message);
    const auto want = directories.logits(of_case);
    CHECK_FALSE(want.empty());
    const Answer got = serve_one(**model, DType::f32, {.tokens = prompt});
    for (const auto& [version, logits] : want) {
      INFO("transformers " << version);
      CHECK(worst(got.logits, logits) < kTolerance);
    }
    CHECK_THAT(notes(dir), Catch::Contains(of_case.value("notes", "")));
    CHECK((of_case.contains("notes") || notes(dir).empty()));
  }
}

TEST_CASE("the same weights have the same hash however a directory holds them") {
  const Directories directories;
  const auto hash = [&](const char* name) {
    const TempDir root;
    auto model = Model::load(directories.write(directories.cases().at(name), root.path()), {.threads = 1});
    REQUIRE(model);
    return (*model)->hash();
  };
  const std::string plain = hash("plain");
  for (const char* name :
       {"shards", "shards_in_subfolder", "single_beside_index", "links", "base_class_named", "extra_heads",
        "old_inv_freq", "eos_beyond_vocabulary", "no_prefix_but_head", "rope_dynamic"}) {
    INFO(name);
    CHECK(hash(name) == plain);
  }
  CHECK(hash("tied_with_same_head") == hash("no_prefix"));
  CHECK(hash("rope_yarn") != plain);
  CHECK(hash("rope_linear") != plain);
}
