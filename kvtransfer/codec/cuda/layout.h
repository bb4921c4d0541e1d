#pragma once
// What the host tells the kernels: plain data, C++17, no CUDA types, so that plan.cpp (C++23), kernels.cu and the
// emulation in the tests all read the same header.
//
// A plan's image is one buffer of bytes: Segment[], Part[], Book[], sign words. Offsets are bytes unless said
// otherwise.
#include <cstddef>
#include <cstdint>

namespace sluice::kv::cuda {

enum class PartKind : std::uint32_t { raw, absmax8, absmax4, fp8, absmax8_page, book, split4 };

/// Threads of a block of the fixed-rate kernels, and what such a block takes on.
inline constexpr std::uint32_t kThreads = 256, kTileVectors = 256, kTileChannels = 128;
/// Symbols of a rANS block at most: whole rows, as the pipeline cuts them.
inline constexpr std::uint32_t kMostBlockSymbols = 32768;
inline constexpr std::uint32_t kStatesBytes = 128;
/// Lengths of coded blocks in the workspace: bytes, base of a split4 block, and whether it is stored.
inline constexpr std::uint32_t kStoredFlag = 1U << 31, kLengthMask = 0xfffffU, kBaseShift = 20;
/// Values of a split4 block at most.
inline constexpr std::uint32_t kSplitValues = 8192;
/// Bytes that a thread block moves of a part behind a coded one.
inline constexpr std::uint32_t kMoveBytes = 65536;

/// Where an encoded segment is. offset counts from the buffer's begin and is a multiple of 16.
struct BlobRef {
  std::uint64_t offset;
  std::uint32_t size, reserved;
};

/// Meaning of a non-zero error word after decoding. Only the first to be set matters; rows are then unspecified.
enum class DecodeError : std::uint32_t {
  none = 0,
  bounds = 1,   // a blob outside the buffer, or misaligned
  header = 2,   // not the header of this plan's codec and shape
  lengths = 3,  // part lengths, block lengths or counts that do not add up
  scale = 4,    // a scale that no encoder writes
  table = 5,    // a rANS table that is none
  symbols = 6,  // a symbol beyond its levels, or a rANS block that does not decode
};

struct Segment {
  std::uint8_t header[16];           // the blob's first bytes
  std::uint64_t out_at;              // of its blob in the encoded buffer: where its slot begins
  std::uint32_t slot_bytes;          // most that the blob takes; exactly that if nothing in it is coded
  std::uint32_t tokens;              // rows
  std::uint32_t head, tail;          // rows kept exact at either end
  std::uint32_t exact_at, parts_at;  // in the blob
  std::uint32_t first_part, parts;
  std::uint32_t coded;  // whether any part is
};

struct Part {
  PartKind kind;
  std::uint32_t segment, index;  // index within the segment
  std::uint32_t first_head, heads;
  std::uint32_t first_row, tokens;
  std::uint32_t bytes;              // of the part; for coded ones those before the plane: scales, filled to 16
  std::uint32_t codes_at;           // in the part
  std::uint32_t bits;               // of a packed symbol
  std::uint32_t book;               // index of its Book, for kind book
  std::uint32_t signs;              // index of its first head's sign words
  std::uint32_t page, pages;        // absmax8_page: tokens of a page, number of pages
  std::uint32_t first_tile, tiles;  // of the fixed-rate kernels, counted from the segments' own tiles on
  std::uint32_t floating;           // behind a coded part: its place is known only when that one is coded
  std::uint64_t at;                 // in the blob; floating: in the workspace
  std::uint32_t first_move, moves;  // floating: thread blocks that move it
  // Coded parts; of others only first_block and table count, as those of the next coded one.
  std::uint32_t coded;
  std::uint32_t first_block, blocks;  // among all of the plan
  std::uint32_t block_tokens, levels;
  std::uint32_t measured;  // 1 if the table is made from the first block and sent
  std::uint32_t table;     // index of its 16 bytes among the workspace's tables
  std::uint64_t slots;     // of its blocks in the workspace, each of block_tokens * heads * D / 2 bytes
};

/// As kv::Book and kv::BookShape.
struct Book {
  float value[256];
  std::int32_t cut[8], mean[8];  // lloyd: in 1/64 and 1/256; cuts that are none are beyond any magnitude
  float gain, root, block;
  std::int32_t weight;
  std::uint32_t levels, bits, uniform, log8;
  std::uint32_t transform;  // whether there is one: its block is the whole head
  std::uint32_t max_scale;  // largest bf16 scale, as bits
  std::uint32_t zero;       // symbol of 0
  std::uint8_t freq[16];    // static rANS table (lloyd)
};

/// Everything a kernel needs besides the rows: passed by value.
struct Image {
  const std::uint8_t* bytes;  // on the device
  std::uint32_t segments_at, parts_at, books_at, signs_at;
  std::uint32_t segments, parts;
  std::uint32_t tiles;         // blocks of the fixed-rate kernels: one per segment, then the parts'
  std::uint32_t coded_blocks;  // of rANS and split4: thread blocks of the rANS kernels and of packing
  std::uint32_t rans_parts;
  std::uint32_t measured_tables;
  std::uint32_t moves;  // thread blocks that move floating parts
  std::uint32_t row_bytes;
  std::uint64_t lengths_at, tables_at;  // in the workspace: u32 per block; 16 bytes per table
};

/// KV where it lies. Device memory: page i of segment s is pages[s * pages_per_segment + i], rows_per_page rows of
/// row_bytes (see Image), each page aligned to 16 bytes. Row 0 of every segment is row first_row of its page 0.
struct PageTable {
  void* const* pages;
  std::uint32_t pages_per_segment, rows_per_page, first_row;
};

}  // namespace sluice::kv::cuda
