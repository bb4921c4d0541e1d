// Renders chat templates by hand, to compare with Jinja:
//
//     text_jinja_render CASE.json...        each file one case; prints its text, or REFUSED and why
//     text_jinja_render < CASES.jsonl       a case a line; prints {"text": ...} or {"error": ...} a line
//
// A case is {"source": TEMPLATE, "messages": [...]}, and may have "tools", "kwargs", "specials" and "prompt"
// (add_generation_prompt).
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "text/chat_template.h"
#include "text/jinja/from_json.h"

namespace {

using nlohmann::ordered_json;
using sluice::Result;
using sluice::text::ChatTemplate;

Result<std::string> render(const ordered_json& c) {
  const nlohmann::json specials = c.value("specials", ordered_json::object());
  SLUICE_ASSIGN(auto t, ChatTemplate::parse(c.at("source").get<std::string>(), specials));
  t.set_clock([](const std::string&) { return std::string("21 Nov 2026"); });
  return t.render(c.at("messages"), c.value("tools", ordered_json()), c.value("prompt", false),
                  c.value("kwargs", ordered_json::object()));
}

int lines() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto r = render(sluice::text::jinja::parse_exact(line).value());
    const auto out = r ? ordered_json{{"text", *r}} : ordered_json{{"error", r.error().message}};
    std::puts(out.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 1) return lines();
    for (int i = 1; i < argc; ++i) {
      std::ifstream in(argv[i], std::ios::binary);
      const auto r =
          render(sluice::text::jinja::parse_exact(std::string(std::istreambuf_iterator<char>(in), {})).value());
      std::printf("%s: %s\n", argv[i], (r ? *r : "REFUSED " + r.error().message).c_str());
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
