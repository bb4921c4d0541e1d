#include "text/chat_template.h"

#include <catch2/catch.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

using namespace sluice;
using nlohmann::json;
using nlohmann::ordered_json;
using text::ChatTemplate;

namespace {

const json kHello = {{{"role", "user"}, {"content", "Hello"}}};

struct ModelDir : sluice::test::TempDir {
  [[nodiscard]] std::string render(const json& tools = nullptr) const {
    return ChatTemplate::load(path()).value().render(kHello, tools, true, json::object()).value();
  }
};

}  // namespace

TEST_CASE("the bundled model's template renders") {
  const auto t = ChatTemplate::load(std::string(SLUICE_SOURCE_DIR) + "/models/sluice-tiny");
  REQUIRE(t);
  CHECK(t->render(kHello, nullptr, true, json::object()).value() ==
        "<|bos|><|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
}

TEST_CASE("load: a Git LFS pointer in place of a file is called what it is") {
  for (const std::string file : {"tokenizer_config.json", "chat_template.jinja"}) {
    const ModelDir dir;
    dir.write(file, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 100\n");
    const auto r = ChatTemplate::load(dir.path());
    REQUIRE_FALSE(r);
    CHECK_THAT(r.error().message, Catch::Contains(file));
    CHECK_THAT(r.error().message, Catch::Contains("git lfs pull"));
  }
}

TEST_CASE("load: a string, a list of named templates, a file of its own, special tokens in both spellings") {
  const ModelDir dir;
  CHECK(ChatTemplate::load(dir.path()).error().code == Errc::unsupported);
  dir.write("tokenizer_config.json", R"({"bos_token": "<s>"})");
  CHECK(ChatTemplate::load(dir.path()).error().code == Errc::unsupported);
  dir.write("tokenizer_config.json", R"({"bos_token": {"content": "<s>"}, "eos_token": null, "unk_token": "<u>",
                                         "chat_template": "{{ bos_token }}{{ unk_token }}{{ eos_token is defined }}"})");
  CHECK(dir.render() == "<s><u>False");
  dir.write("special_tokens_map.json", R"({"eos_token": "</s>", "bos_token": "<other>"})");
  CHECK(dir.render() == "<s><u>True");
  dir.write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "plain"},
                                                           {"name": "tool_use", "template": "tools"}]})");
  CHECK(dir.render() == "plain");
  CHECK(dir.render(json::array()) == "tools");
  dir.write("chat_template.jinja", "file\n");
  CHECK(dir.render() == "file");
}

TEST_CASE("load refuses what is no template, naming it") {
  const ModelDir dir;
  const auto error = [&](const std::string& config) {
    dir.write("tokenizer_config.json", config);
    return ChatTemplate::load(dir.path()).error();
  };
  CHECK(error("not json").code == Errc::invalid_argument);
  CHECK(error(R"({"chat_template": 7})").code == Errc::invalid_argument);
  CHECK(error(R"({"chat_template": [{"name": "default"}]})").code == Errc::invalid_argument);
  CHECK(error(R"({"chat_template": [{"name": "rag", "template": "x"}]})").code == Errc::unsupported);
  CHECK(error(R"({"chat_template": "a\nb {% if x %}"})").message.find("line 2") != std::string::npos);
  CHECK(ChatTemplate::parse("\xff", json::object()).error().code == Errc::invalid_argument);
}

TEST_CASE("a refusal speaks the template's words") {
  const auto t =
      ChatTemplate::parse("{{ raise_exception('Only one system message, not ' ~ 2) }}", json::object()).value();
  const auto r = t.render(kHello, nullptr, true, json::object());
  REQUIRE_FALSE(r);
  CHECK(r.error().message == "Only one system message, not 2");
  CHECK(r.error().code == Errc::invalid_argument);
  CHECK(r.error().param == "messages");
}

TEST_CASE("input of the wrong shape is refused") {
  const auto t = ChatTemplate::parse("x", json::object()).value();
  CHECK(t.render(json::array(), nullptr, true, json::object()).error().param == "messages");
  CHECK(t.render(json::object(), nullptr, true, json::object()).error().param == "messages");
  CHECK(t.render(json{1, 2}, nullptr, true, json::object()).error().param == "messages");
  CHECK(t.render(kHello, 7, true, json::object()).error().param == "tools");
  CHECK(t.render(kHello, nullptr, true, nullptr).value() == "x");
}

TEST_CASE("ordered JSON keeps the order of keys, plain JSON sorts them") {
  const auto t = ChatTemplate::parse("{{ tools[0] | tojson }}", json::object()).value();
  const ordered_json tools = {ordered_json{{"z", 1}, {"a", 2}}};
  CHECK(t.render(ordered_json(kHello), tools, true, ordered_json::object()).value() == R"({"z": 1, "a": 2})");
  CHECK(t.render(kHello, json(tools), true, json::object()).value() == R"({"a": 2, "z": 1})");
}

TEST_CASE("what is not JSON's own, or beyond 64 bits, still renders") {
  const auto t = ChatTemplate::parse("{{ messages[0].content }}", json::object()).value();
  const auto render = [&](const json& content) {
    return t.render(json{{{"role", "user"}, {"content", content}}}, nullptr, true, json::object()).value();
  };
  CHECK(render(9223372036854775807) == "9223372036854775807");
  CHECK(render(18446744073709551615ULL) == "18446744073709551615");
  CHECK(render(std::vector<int>(20, 1)).size() == 60);
}

TEST_CASE("strftime_now answers the local time") {
  const auto t =
      ChatTemplate::parse("{{ strftime_now('%Y') }}|{{ strftime_now('%99999999d') }}", json::object()).value();
  const auto text = t.render(kHello, nullptr, true, json::object()).value();
  CHECK(std::stoi(text) >= 2024);
  CHECK(text.size() < 2000);
}

TEST_CASE("a dict of many keys finds each, and the last of two equal keys wins") {
  ordered_json many = ordered_json::object();
  for (int i = 0; i < 100; ++i) many["k" + std::to_string(i)] = i;
  const auto t = ChatTemplate::parse(
                     "{{ d.k0 }} {{ d.k7 }} {{ d['k99'] }} {{ d.k100 is defined }} {{ dict(d, k3='x').k3 }}"
                     " {{ dict(d, k50='y').k50 }} {{ d | length }} {{ {'a': 1, 'a': 2}.a }}",
                     json::object())
                     .value();
  CHECK(t.render(ordered_json(kHello), nullptr, true, ordered_json{{"d", many}}).value() == "0 7 99 False x y 100 2");
}

TEST_CASE("load: templates of files, named ones beside the default") {
  const ModelDir dir;
  dir.write("tokenizer_config.json", R"({"chat_template": "config"})");
  CHECK(dir.render() == "config");
  std::filesystem::create_directories(dir.path() / "additional_chat_templates");
  dir.write("additional_chat_templates/tool_use.jinja", "tools of a file");
  dir.write("additional_chat_templates/README.md", "{% nothing");
  CHECK(ChatTemplate::load(dir.path()).error().code == Errc::unsupported);  // files win, and none is the default
  dir.write("chat_template.jinja", "file");
  CHECK(dir.render() == "file");
  CHECK(dir.render(json::array()) == "tools of a file");
  dir.write("additional_chat_templates/rag.jinja", "a\n{{ x | wordwrap }}");
  const auto broken = ChatTemplate::load(dir.path());
  REQUIRE_FALSE(broken);
  CHECK(broken.error().message.find("'rag': line 2: the filter 'wordwrap'") != std::string::npos);
}

TEST_CASE("half of a surrogate pair cannot be rendered, only reckoned with") {
  const auto run = [](const std::string& source) {
    return ChatTemplate::parse(source, json::object()).value().render(kHello, nullptr, true, json::object());
  };
  CHECK(run("{{ '\\ud83d' in 'x' }}{{ '\\ud83d\\ude00' | tojson(ensure_ascii=true) }}").value() ==
        R"(False"\ud83d\ude00")");
  CHECK(run("{{ '\\ud83d' }}").error().code == Errc::invalid_argument);
}
