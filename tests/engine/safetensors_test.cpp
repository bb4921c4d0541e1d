#include "engine/model/safetensors.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::engine;
using sluice::test::TempDir;

namespace {

std::string file_of(const std::string& header, std::size_t data_bytes) {
  std::string out(8, '\0');
  const std::uint64_t n = header.size();
  std::memcpy(out.data(), &n, 8);
  return out + header + std::string(data_bytes, 'x');
}

Result<TensorMap> parse(const std::string& file) { return parse_safetensors(std::as_bytes(std::span(file))); }

void refused(const std::string& header, std::size_t data_bytes, const std::string& word) {
  const auto r = parse(file_of(header, data_bytes));
  INFO(header.substr(0, 200));
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::data_corrupt);
  CHECK_THAT(r.error().message, Catch::Contains(word));
}

const std::string kGood =
    R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},)"
    R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"empty":{"dtype":"I64","shape":[0,4],"data_offsets":[20,20]},)"
    R"("scalar":{"data_offsets":[20,21],"shape":[],"dtype":"U8"}}   )";

void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

TEST_CASE("a good file") {
  const std::string file = file_of(kGood, 21);
  const auto r = parse(file);
  REQUIRE(r);
  REQUIRE(r->size() == 4);
  const TensorView& b = r->at("b");
  CHECK(b.dtype == "BF16");
  CHECK(b.shape == std::vector<std::uint64_t>{2, 3});
  CHECK(b.data.size() == 12);
  CHECK(reinterpret_cast<const char*>(b.data.data()) == file.data() + 8 + kGood.size() + 8);
  CHECK(r->at("empty").data.empty());
  CHECK(r->at("scalar").shape.empty());
}

TEST_CASE("types that the engine never computes with do not spoil a file") {
  const auto r = parse(file_of(R"({"c":{"dtype":"C64","shape":[1],"data_offsets":[0,8]},)"
                               R"("f4":{"dtype":"F4","shape":[3,2],"data_offsets":[8,11]},)"
                               R"("f6":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[11,14]},)"
                               R"("f8":{"dtype":"F8_E8M0","shape":[2],"data_offsets":[14,16]}})",
                               16));
  REQUIRE(r);
  CHECK(r->at("f4").data.size() == 3);
  refused(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", 1, "whole byte");
}

TEST_CASE("every truncation of a good file is refused") {
  const std::string file = file_of(kGood, 21);
  for (std::size_t n = 0; n < file.size(); ++n) REQUIRE_FALSE(parse(file.substr(0, n)));
}

TEST_CASE("one flipped byte never reads outside the file") {
  const std::string file = file_of(kGood, 21);
  for (std::size_t i = 0; i < 8 + kGood.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = file;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      const auto r = parse(bad);
      if (!r) continue;
      for (const auto& [name, t] : *r) {
        const auto* p = reinterpret_cast<const char*>(t.data.data());
        REQUIRE(p >= bad.data());
        REQUIRE(p + t.data.size() <= bad.data() + bad.size());
      }
    }
}

TEST_CASE("lying headers are refused") {
  CHECK_FALSE(parse(std::string(8, '\xff') + "{}"));
  refused("", 0, "not an object");
  refused("[]", 0, "not an object");
  refused("{", 0, "not valid JSON");
  refused(R"({}{})", 0, "not valid JSON");
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}})", 9, "needs 8");
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 9, "8 of 9");
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7, "8 of 7");
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "lacks a valid");
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})", 9, "begins at");
  refused(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
      12, "begins at");
  refused(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})",
      16, "begins at");
  refused(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,0]}})", 0, "impossible shape");
  refused(R"({"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,0]}})", 0, "fraction");
  refused(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}})", 0, "negative");
  refused(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4, "unknown type 'F33'");
  refused(R"({"a":{"dtype":"F32","shape":[1]}})", 4, "lacks a valid");
  refused(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4, "lacks a valid");
  refused(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "lacks a valid");
  refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4, "lacks a valid");
  refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1]}})", 4, "unknown field");
  refused(R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4, "a list");
  refused(R"({"a":{"dtype":"F32","shape":{"x":1},"data_offsets":[0,4]}})", 4, "an object");
  refused(R"({"a":{"dtype":null,"shape":[1],"data_offsets":[0,4]}})", 4, "a null");
  refused(R"({"a":5})", 0, "a number");
  refused(R"({"a":"x"})", 0, "a string");
  refused(R"({"__metadata__":{"x":{"y":"z"}}})", 0, "an object");
  refused(R"({"__metadata__":{"x":["y"]}})", 0, "a list");
  refused(R"({"__metadata__":{},"__metadata__":{}})", 0, "second __metadata__");
  refused(
      R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0,
      "twice");
  refused(R"({"a":)" + std::string(1'000'000, '{'), 0, "");
  refused(R"({"a":{"shape":)" + std::string(1'000'000, '['), 0, "a list");
  refused(R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1,
          "more than 16");
}

TEST_CASE("a directory: single file, shards, or nothing") {
  const TempDir dir;
  CHECK(Checkpoint::open(dir.path()).error().code == Errc::not_found);

  const std::string a = R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})";
  const std::string b = R"({"b":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}})";
  write(dir.path() / "one.safetensors", file_of(a, 3));
  write(dir.path() / "two.safetensors", file_of(b, 5));
  const auto open_with = [&](const std::string& index) {
    write(dir.path() / "model.safetensors.index.json", index);
    return Checkpoint::open(dir.path());
  };
  const auto good = open_with(R"({"metadata":{},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  REQUIRE(good);
  CHECK(good->tensors().at("a").data.size() == 3);
  CHECK(good->tensors().at("b").data.size() == 5);

  for (const char* index :
       {"", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{"a":5}})",
        R"({"weight_map":{"a":"../one.safetensors"}})", R"({"weight_map":{"a":"/etc/passwd"}})",
        R"({"weight_map":{"a":"sub/../one.safetensors"}})", R"({"weight_map":{"a":".safetensors"}})",
        R"({"weight_map":{"a":".git/one.safetensors"}})", R"({"weight_map":{"a":"sub/.safetensors"}})",
        R"({"weight_map":{"a":"..\\one.safetensors"}})", R"({"weight_map":{"a":"/one.safetensors"}})",
        R"({"weight_map":{"a":""}})", R"({"weight_map":{"a":"one.safetensors ","b":"x"}})",
        R"({"weight_map":{"a":"two.safetensors"}})"}) {
    const auto bad = open_with(index);
    INFO(index);
    REQUIRE_FALSE(bad);
    CHECK(bad.error().code == Errc::data_corrupt);
  }
  CHECK(open_with(R"({"weight_map":{"a":"missing.safetensors"}})").error().code == Errc::not_found);
  CHECK(open_with(R"({"weight_map":{"a":"sub/one.safetensors"}})").error().code == Errc::not_found);
  std::filesystem::create_directories(dir.path() / "sub/deeper");
  write(dir.path() / "sub/deeper/one.safetensors", file_of(a, 3));
  const auto below = open_with(R"({"weight_map":{"a":"sub/deeper/one.safetensors","b":"two.safetensors"}})");
  REQUIRE(below);
  CHECK_THAT(below->tensors().at("a").file, Catch::EndsWith("sub/deeper/one.safetensors"));

  write(dir.path() / "model.safetensors", file_of(a, 3));
  const auto single = Checkpoint::open(dir.path());
  REQUIRE(single);
  CHECK(single->tensors().size() == 1);
}

TEST_CASE("a pipe or an empty file in place of the weights is an error, not a hang") {
  const TempDir dir;
  const auto path = dir.path() / "model.safetensors";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(Checkpoint::open(dir.path()).error().code == Errc::data_corrupt);
  std::filesystem::remove(path);
  write(path, "");
  CHECK(Checkpoint::open(dir.path()).error().code == Errc::data_corrupt);
}
