#pragma once
// A stream's event in which only one text changes: rendered once, then put together for each token. The bytes are those
// that rendering it anew would give.
//
//   ChunkTemplate t([&](std::string_view text) { return sse(...); });   // called once, with a mark for a text
//   writer.write(t.with("Hello"));
//
// Threading: none, a value. Failure: none; text that is not UTF-8 is replaced, as everywhere in JSON.
#include <functional>
#include <string>
#include <string_view>

namespace sluice::coordinator {

/// Appends `text` as it stands in JSON between the quotes.
void append_json_text(std::string& out, std::string_view text);

class ChunkTemplate {
 public:
  /// What stands for the text. Nothing that is rendered before the text may hold it.
  static constexpr std::string_view kMark = "@";

  explicit ChunkTemplate(const std::function<std::string(std::string_view)>& render);

  [[nodiscard]] std::string with(std::string_view text) const;

 private:
  std::string before_, after_;
};

}  // namespace sluice::coordinator
