// What a directory holds in place of a model's files, and the words that say what to do about it.
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "engine/model/model_config.h"
#include "engine/model/safetensors.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::engine;
using sluice::test::TempDir;
namespace fs = std::filesystem;

namespace {

const std::string kPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
const std::string kConfig = R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
    "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 100, "max_position_embeddings": 256})";

void weights_refused(const TempDir& dir, Errc code, const std::string& word) {
  const auto r = Checkpoint::open(dir.path());
  INFO(word);
  REQUIRE_FALSE(r);
  INFO(r.error().message);
  CHECK(r.error().code == code);
  CHECK_THAT(r.error().message, Catch::Contains(word) && Catch::Contains(dir.path().string()));
}

void config_refused(const fs::path& dir, const std::string& word) {
  const auto r = load_model_config(dir);
  INFO(word);
  REQUIRE_FALSE(r);
  INFO(r.error().message);
  CHECK_THAT(r.error().message, Catch::Contains(word) && Catch::Contains(dir.string()));
}

}  // namespace

TEST_CASE("weights in another form are named, with what to do") {
  const auto beside = [](const std::string& file, const std::string& word) {
    const TempDir dir;
    dir.write(file, "x");
    weights_refused(dir, Errc::not_found, file);
    weights_refused(dir, Errc::not_found, word);
  };
  beside("pytorch_model.bin", "save_pretrained()");
  beside("pytorch_model-00001-of-00002.bin", "can run code");
  beside("model-00001-of-00002.safetensors", "index is missing");
  beside("adapter_model.safetensors", "merge it");
  beside("consolidated.safetensors", "authors' own");
  beside("model.Q4_K_M.gguf", "GGUF");
  beside("tf_model.h5", "save_pretrained()");
  const TempDir empty;
  weights_refused(empty, Errc::not_found, "neither model.safetensors nor");
}

TEST_CASE("a Git LFS pointer is called what it is, in place of every file") {
  const TempDir dir;
  dir.write("model.safetensors", kPointer);
  weights_refused(dir, Errc::data_corrupt, "git lfs pull");
  fs::remove(dir / "model.safetensors");
  dir.write("model.safetensors.index.json", kPointer);
  weights_refused(dir, Errc::data_corrupt, "git lfs pull");
  dir.write("model.safetensors.index.json", R"({"weight_map": {"a": "one.safetensors"}})");
  dir.write("one.safetensors", kPointer);
  weights_refused(dir, Errc::data_corrupt, "one.safetensors is a Git LFS pointer");
  dir.write("config.json", kPointer);
  config_refused(dir.path(), "config.json is a Git LFS pointer");
  dir.write("config.json", kConfig);
  dir.write("generation_config.json", kPointer);
  config_refused(dir.path(), "generation_config.json is a Git LFS pointer");
}

TEST_CASE("links whose target is not there") {
  const TempDir dir;
  fs::create_symlink("../blobs/gone", dir / "model.safetensors");
  weights_refused(dir, Errc::not_found, "link to ../blobs/gone");
  fs::create_symlink("../blobs/gone", dir / "config.json");
  config_refused(dir.path(), "link to ../blobs/gone");
}

TEST_CASE("a directory that is none, or the wrong one") {
  const TempDir dir;
  config_refused(dir / "none", "no such directory");
  dir.write("file", "x");
  config_refused(dir / "file", "not a file");
  config_refused(dir.path(), "no such file");
  fs::create_directory(dir / "snapshots");
  config_refused(dir.path(), "below its snapshots/");
  fs::create_directory(dir / "config.json");
  config_refused(dir.path(), "not a regular file");
}

TEST_CASE("errors name the file with its path, and the key") {
  const TempDir dir;
  const auto message = [&](const char* file, const std::string& text) {
    dir.write("config.json", kConfig);
    dir.write("generation_config.json", "{}");
    dir.write(file, text);
    const auto r = load_model_config(dir.path());
    REQUIRE_FALSE(r);
    CHECK_THAT(r.error().message, Catch::StartsWith((dir / file).string()));
    return r.error().message;
  };
  CHECK_THAT(message("config.json", "{"), Catch::Contains("JSON") || Catch::Contains("object"));
  CHECK_THAT(message("config.json", R"({"model_type": "bert"})"), Catch::Contains("model_type 'bert'"));
  CHECK_THAT(message("config.json", R"({"model_type": "llama"})"), Catch::Contains("hidden_size"));
  CHECK_THAT(message("generation_config.json", "[]"), Catch::Contains("JSON") || Catch::Contains("object"));
  CHECK_THAT(message("generation_config.json", R"({"eos_token_id": "</s>"})"), Catch::Contains("eos_token_id"));
}
