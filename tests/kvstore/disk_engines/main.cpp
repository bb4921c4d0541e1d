// Plain files (kvstore's disk tier) beside RocksDB's BlobDB, with the same objects and the same checks: which of them
// keeps objects on disk was decided by this (docs/adr/0015-objects-are-files.md). Not part of the build: run.sh
// compiles it where RocksDB is.
//   disk_engines FOLDER [--full]   --full: FOLDER is a small file system, to be filled
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <random>

#include "kvstore/tier/disk_tier.h"
#include "tests/kvstore/objects.h"

using namespace sluice;
using namespace sluice::kvstore;
using namespace sluice::kvstore::test;

namespace {

namespace fs = std::filesystem;

struct Engine {
  virtual ~Engine() = default;
  virtual bool put(const ObjectBytes& object) = 0;
  virtual bool get(const ObjectKey& key) = 0;
};

class Files final : public Engine {
 public:
  explicit Files(const fs::path& root)
      : tier_(open_disk_tier({.root = root, .limits = {1ULL << 40U, 1ULL << 40U}}, plain_keys()).value()) {}
  bool put(const ObjectBytes& o) override { return put_object(*tier_, o, soon()).has_value(); }
  bool get(const ObjectKey& k) override { return tier_->get(k, soon()).has_value(); }

 private:
  std::unique_ptr<Tier> tier_;
};

class Blobs final : public Engine {
 public:
  explicit Blobs(const fs::path& root) {
    rocksdb::Options o;
    o.create_if_missing = true;
    o.enable_blob_files = true;
    o.min_blob_size = 4096;
    o.enable_blob_garbage_collection = true;
    o.compression = rocksdb::kNoCompression;  // objects are compressed
    rocksdb::DB* db = nullptr;
    const auto s = rocksdb::DB::Open(o, root.string(), &db);
    if (!s.ok()) std::fprintf(stderr, "%s\n", s.ToString().c_str());
    db_.reset(db);
  }
  bool put(const ObjectBytes& o) override {
    rocksdb::WriteOptions w;
    w.disableWAL = no_log;
    const auto s = db_->Put(w, slice(o.key()), {reinterpret_cast<const char*>(o.bytes().data()), o.bytes().size()});
    if (!s.ok()) last = s.ToString();
    return s.ok();
  }
  bool get(const ObjectKey& k) override {
    rocksdb::PinnableSlice v;
    const auto s = db_->Get({}, db_->DefaultColumnFamily(), slice(k), &v);
    if (!s.ok()) return false;
    const auto bytes = std::as_bytes(std::span(v.data(), v.size()));
    return check_object(plain_keys(), k, {bytes.begin(), bytes.end()}).has_value();
  }
  static inline bool no_log = false;
  std::string last;

 private:
  static rocksdb::Slice slice(const ObjectKey& k) {
    return {reinterpret_cast<const char*>(k.bytes.data()), k.bytes.size()};
  }
  std::unique_ptr<rocksdb::DB> db_;
};

using Maker = std::function<std::unique_ptr<Engine>(const fs::path&)>;

double seconds_of(const std::function<void()>& fn) {
  const auto begin = std::chrono::steady_clock::now();
  fn();
  return seconds(std::chrono::steady_clock::now() - begin);
}

void measure(const char* name, const Maker& make, const fs::path& root, std::size_t bytes) {
  fs::remove_all(root);
  const std::size_t n = (std::size_t{512} << 20U) / bytes;
  std::vector<ObjectBytes> objects;
  for (std::size_t i = 0; i < n; ++i) objects.push_back(make_object({.name = 1 + i, .bytes = bytes}));
  auto engine = make(root);
  const double put = seconds_of([&] {
    for (const auto& o : objects)
      if (!engine->put(o)) std::fprintf(stderr, "%s: a put failed\n", name);
  });
  std::ranges::shuffle(objects, std::mt19937(1));
  const auto read_all = [&] {
    for (const auto& o : objects)
      if (!engine->get(o.key())) std::fprintf(stderr, "%s: a get failed\n", name);
  };
  const double get = seconds_of(read_all);
  engine.reset();
  const double start = seconds_of([&] { engine = make(root); });
  const double again = seconds_of(read_all);
  const double mib = static_cast<double>(n * bytes) / (1 << 20);
  std::printf("%-12s %5zu KiB x %4zu: put %6.0f MiB/s, get %6.0f MiB/s, restart %7.1f ms, get after it %6.0f MiB/s\n",
              name, bytes >> 10U, n, mib / put, mib / get, 1e3 * start, mib / again);
  std::fflush(stdout);
  engine.reset();
  fs::remove_all(root);
}

/// Puts until the file system is full, deletes nothing, and looks at what is there.
void fill(const char* name, const Maker& make, const fs::path& root) {
  std::vector<ObjectBytes> kept;
  std::size_t refused = 0, read = 0;
  auto engine = make(root);
  for (std::size_t i = 0; i < 128; ++i) {
    const auto o = make_object({.name = 1 + i, .bytes = std::size_t{1} << 20U});
    if (engine->put(o)) {
      kept.push_back(o);
    } else {
      ++refused;
    }
  }
  for (const auto& o : kept) read += engine->get(o.key());
  std::printf("%-12s full: %zu kept, %zu refused, %zu read back", name, kept.size(), refused, read);
  if (const auto* b = dynamic_cast<Blobs*>(engine.get())) std::printf(" (%s)", b->last.c_str());
  engine.reset();
  read = 0;
  engine = make(root);
  for (const auto& o : kept) read += engine->get(o.key());
  std::printf(", %zu after a restart\n", read);
  std::fflush(stdout);
  engine.reset();
  fs::remove_all(root);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const fs::path root = argv[1];
  fs::create_directories(root);
  const Maker files = [](const fs::path& p) { return std::make_unique<Files>(p); };
  const Maker blobs = [](const fs::path& p) { return std::make_unique<Blobs>(p); };
  const bool full = argc > 2;
  if (full) {
    fill("files", files, root / "f");
    fill("blobdb", blobs, root / "b");
    return 0;
  }
  for (const std::size_t kib : {256, 1024, 4096}) {
    measure("files", files, root / "f", kib << 10U);
    Blobs::no_log = false;
    measure("blobdb", blobs, root / "b", kib << 10U);
    Blobs::no_log = true;
    measure("blobdb no log", blobs, root / "b", kib << 10U);
  }
}
