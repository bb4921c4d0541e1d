#pragma once
// What the doctor says: one fact that was checked, how bad it is, why it matters, what to set. Plain values.
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::ctl::doctor {

enum class Severity : std::uint8_t { ok, note, warning, error };

[[nodiscard]] constexpr std::string_view name(Severity s) noexcept {
  switch (s) {
    case Severity::ok:
      return "ok";
    case Severity::note:
      return "note";
    case Severity::warning:
      return "warning";
    case Severity::error:
      return "error";
  }
  return "error";
}

struct Finding {
  Severity severity = Severity::ok;
  std::string id;       // a stable name, as docs/doctor.md lists it
  std::string area;     // heading of the report
  std::string subject;  // whom it is about: "this host", a node, a link, a file
  std::string found;
  std::string why;  // one sentence for a newcomer
  std::string set;  // what to do; empty where nothing is to be done
};
using Findings = std::vector<Finding>;

/// Findings of one area and subject, as a judge collects them.
class Notebook {
 public:
  Notebook(std::string area, std::string subject) : area_(std::move(area)), subject_(std::move(subject)) {}

  void ok(std::string id, std::string found) { add(Severity::ok, std::move(id), std::move(found), {}, {}); }
  void note(std::string id, std::string found, std::string why, std::string set = {}) {
    add(Severity::note, std::move(id), std::move(found), std::move(why), std::move(set));
  }
  void warning(std::string id, std::string found, std::string why, std::string set) {
    add(Severity::warning, std::move(id), std::move(found), std::move(why), std::move(set));
  }
  void error(std::string id, std::string found, std::string why, std::string set) {
    add(Severity::error, std::move(id), std::move(found), std::move(why), std::move(set));
  }
  void about(std::string subject) { subject_ = std::move(subject); }
  [[nodiscard]] Findings take() { return std::move(findings_); }

 private:
  void add(Severity s, std::string id, std::string found, std::string why, std::string set) {
    findings_.push_back({s, std::move(id), area_, subject_, std::move(found), std::move(why), std::move(set)});
  }

  std::string area_, subject_;
  Findings findings_;
};

inline void append(Findings& to, Findings more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace sluice::ctl::doctor
