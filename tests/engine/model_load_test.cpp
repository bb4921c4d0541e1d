// Model::load over directories that lie, and what the hash depends on.
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/engine/model_runs.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::engine;
using namespace sluice::test;
using nlohmann::json;

namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A copy of a golden model whose files a test may spoil.
class Copy {
 public:
  explicit Copy(const std::string& name) { std::filesystem::copy(model_dir(name), dir_.path()); }

  void config(const std::function<void(json&)>& change) {
    const auto path = dir_.path() / "config.json";
    json j = json::parse(read(path));
    change(j);
    std::ofstream(path) << j.dump();
  }
  /// Edits the header of model.safetensors; an odd header leaves every tensor misaligned.
  void header(const std::function<void(json&)>& change, bool odd = false) {
    const auto path = dir_.path() / "model.safetensors";
    const std::string file = read(path);
    std::uint64_t n = 0;
    std::memcpy(&n, file.data(), 8);
    json j = json::parse(file.substr(8, n));
    change(j);
    std::string text = j.dump();
    if ((text.size() % 2 == 1) != odd) text += ' ';
    const std::string data = file.substr(8 + n);
    n = text.size();
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&n), 8);
    out << text << data;
  }
  void flip_last_weight_bit() {
    const auto path = dir_.path() / "model.safetensors";
    std::string file = read(path);
    file.back() = static_cast<char>(file.back() ^ 1);
    std::ofstream(path, std::ios::binary) << file;
  }
  Result<std::unique_ptr<Model>> load() { return Model::load(dir_.path(), {.isa = "scalar", .threads = 1}); }
  void refused(Errc code, const std::string& word) {
    const auto r = load();
    REQUIRE_FALSE(r);
    CHECK(r.error().code == code);
    CHECK_THAT(r.error().message, Catch::Contains(word));
  }
  [[nodiscard]] const std::filesystem::path& path() const { return dir_.path(); }

 private:
  TempDir dir_;
};

const char* const kDown = "model.layers.1.mlp.down_proj.weight";

}  // namespace

TEST_CASE("a directory that is no model") {
  const TempDir dir;
  CHECK(Model::load(dir.path(), {}).error().code == Errc::not_found);
  Copy copy("llama3_rope");
  std::filesystem::remove(copy.path() / "model.safetensors");
  copy.refused(Errc::not_found, "model.safetensors");
}

TEST_CASE("unsupported models are refused before their weights are opened") {
  Copy copy("llama3_rope");
  std::filesystem::remove(copy.path() / "model.safetensors");
  copy.config([](json& j) { j["architectures"] = {"GPT2LMHeadModel"}; });
  copy.refused(Errc::unsupported, "GPT2LMHeadModel");
}

TEST_CASE("a missing tensor is named") {
  Copy copy("llama3_rope");
  copy.header([](json& j) {
    j["other"] = j[kDown];
    j.erase(kDown);
  });
  copy.refused(Errc::data_corrupt, kDown);
}

TEST_CASE("an untied model needs its own head") {
  Copy copy("llama_mqa_tied");
  copy.config([](json& j) { j["tie_word_embeddings"] = false; });
  copy.refused(Errc::data_corrupt, "lm_head.weight");
}

TEST_CASE("a tensor of another shape is named, also when its byte count fits") {
  Copy copy("llama3_rope");
  copy.header([](json& j) { j[kDown]["shape"] = {j[kDown]["shape"][1], j[kDown]["shape"][0]}; });
  copy.refused(Errc::data_corrupt, kDown);
}

TEST_CASE("a configuration that disagrees with the weights names the first tensor that shows it") {
  Copy copy("llama3_rope");
  copy.config([](json& j) { j["num_key_value_heads"] = 3; });
  copy.refused(Errc::data_corrupt, "k_proj");
  Copy fewer("llama3_rope");
  fewer.config([](json& j) { j["vocab_size"] = 319; });
  fewer.refused(Errc::data_corrupt, "embed_tokens");
}

TEST_CASE("a tensor of a type we do not read is named") {
  Copy copy("llama3_rope");
  copy.header([](json& j) { j[kDown]["dtype"] = "I16"; });
  copy.refused(Errc::unsupported, kDown);
}

TEST_CASE("a shard cut short is refused") {
  Copy copy("mistral_window");
  const auto shard = copy.path() / "model-00002-of-00003.safetensors";
  std::filesystem::resize_file(shard, std::filesystem::file_size(shard) - 1);
  copy.refused(Errc::data_corrupt, "model-00002-of-00003");
}

TEST_CASE("an unknown instruction set is refused") {
  CHECK_FALSE(Model::load(model_dir("llama3_rope"), {.isa = "vax"}));
}

TEST_CASE("tensors that lie misaligned in the file give the same model") {
  Copy copy("llama3_rope");
  const auto aligned = copy.load();
  REQUIRE(aligned);
  copy.header([](json&) {}, /*odd=*/true);
  const auto odd = copy.load();
  REQUIRE(odd);
  CHECK((*odd)->hash() == (*aligned)->hash());
  const Prompt prompt{.tokens = expected("llama3_rope").prompt, .steps = 2};
  CHECK(same_bits(serve_one(**odd, DType::f32, prompt).logits, serve_one(**aligned, DType::f32, prompt).logits));
}

TEST_CASE("the hash names the model: weights and configuration, not precision, threads or sharding") {
  Copy copy("llama3_rope");
  const std::string hash = (*copy.load())->hash();
  CHECK(hash.size() == 32);
  CHECK(hash.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(load("llama3_rope", {.precision = Precision::f32, .threads = 3})->hash() == hash);
  CHECK(load("llama_mqa_tied", {})->hash() != hash);

  copy.config([](json& j) { j["rms_norm_eps"] = 2e-5; });
  CHECK((*copy.load())->hash() != hash);
  copy.config([](json& j) { j["rms_norm_eps"] = 1e-5; });
  CHECK((*copy.load())->hash() == hash);
  copy.flip_last_weight_bit();
  CHECK((*copy.load())->hash() != hash);
}

TEST_CASE("loading reports its progress") {
  std::uint64_t last = 0, all = 0;
  bool ascending = true;
  ModelOptions options{.threads = 1};
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    ascending = ascending && done > last;
    last = done;
    all = total;
  };
  load("mistral_window", options);
  CHECK(ascending);
  CHECK(last == all);
  CHECK(all == load("mistral_window", {})->config().parameters() * 4);
}
