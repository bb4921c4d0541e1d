#pragma once
// What parsers of tool calls share. A format's class is a machine that takes one byte at a time: so the outcome cannot
// depend on how the text was cut. It tries to read a call, and says how that went; this class makes deltas of it.
//
// White space alone between calls, before the first and behind the last, is dropped; else what is no call is content.
// Eager: a call is told as it is written, from its name on; what then goes wrong cuts it short, and the rest is
// content. Otherwise a call is told once it is complete, and one that goes wrong is content from its first byte on.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/output/call_object.h"
#include "text/output/output_parser.h"

namespace sluice::text::output {

class CallParser : public OutputParser {
 public:
  [[nodiscard]] OutputDelta push(std::string_view text) final;
  [[nodiscard]] OutputDelta finish() final;
  [[nodiscard]] std::size_t calls() const final { return calls_; }

 protected:
  explicit CallParser(bool eager) : eager_(eager) {}

  /// The next byte.
  virtual void step(char c) = 0;
  /// The text has ended: gives up what is held back.
  virtual void stop() = 0;

  /// This is no part of a call.
  void content(std::string_view text);
  /// These bytes may be of a call.
  void attempt(std::string_view bytes) { raw_ += bytes; }
  void attempt(char c) { raw_ += c; }
  /// They are: this call has begun, or goes on with these arguments.
  void call(const std::string& name, std::string_view arguments);
  void call_done();
  /// They are none, or no longer: what is not told yet of the attempt is content.
  void give_up();
  /// What was attempted only separates calls.
  void drop() { raw_.clear(); }

  /// One byte of a call that is a JSON object.
  [[nodiscard]] JsonScanner::Step step_object(CallObject& object, char c);

 private:
  bool eager_;
  OutputDelta out_;
  std::size_t calls_ = 0;   // told
  bool telling_ = false;    // a call has begun that is not done
  std::string raw_;         // attempted, and not told
  ToolCallDelta untold_;    // of the call that has begun; eager: nothing
  bool only_space_ = true;  // since the text's or the last call's end
  std::string space_;       // that much, held back
};

}  // namespace sluice::text::output
