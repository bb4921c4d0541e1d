// The fields of a chat that say what may be called: tools, tool_choice, parallel_tool_calls.
#include <algorithm>
#include <utility>

#include "coordinator/api/request_fields.h"
#include "text/output/call_object.h"

namespace sluice::coordinator {

using nlohmann::json;
using Mode = ToolChoice::Mode;

namespace {

constexpr std::size_t kMaxWord = 64;    // bytes of a client's word in an error
constexpr std::size_t kMaxTools = 512;  // what is allowed is looked for among them

void check_type(JsonObject& in) {
  std::string type;
  if (const JsonValue v = in.want("type"); v.into(type) && type != "function")
    v.wrong("is '{}', which is not supported; only \"function\" is", clip_utf8(type, kMaxWord));
}

/// {"function": {"name": "..."}}
bool names_function(const json& j) {
  if (!j.is_object()) return false;
  const auto f = j.find("function");
  return f != j.end() && f->is_object() && f->contains("name") && (*f)["name"].is_string();
}

/// The same as a choice says it.
void read_name(JsonObject& in, std::vector<std::string>& names) {
  check_type(in);
  JsonObject f = in.need("function").object();
  std::string name;
  if (f.present() && f.need("name").into(name)) names.push_back(std::move(name));
}

void read_function(const JsonValue& tool, std::vector<std::string>& names) {
  if (!names_function(tool.raw()))
    return tool.wrong("must be {{\"type\": \"function\", \"function\": {{\"name\": ...}}}}");
  JsonObject in = tool.object();
  check_type(in);
  JsonObject f = in.need("function").object();
  const JsonValue name = f.need("name");
  std::string text;
  if (!name.into(text)) return;
  if (text.empty() || text.size() > text::output::kMaxNameBytes ||
      !std::ranges::all_of(text, text::output::is_name_byte))
    name.wrong("must be 1 to {} letters, digits, '_', '.' or '-'", text::output::kMaxNameBytes);
  std::string description;
  bool strict = false;
  f.want("description").into(description);
  f.want("strict").into(strict);
  const JsonValue parameters = f.want("parameters");
  if (!parameters.present()) return names.push_back(text);
  if (!parameters.raw().is_object()) return parameters.wrong_type("a JSON schema of an object");
  if (const auto type = parameters.raw().find("type"); type != parameters.raw().end() && *type != "object")
    return parameters.wrong("must be a schema of type \"object\": a function's arguments are one");
  names.push_back(text);
}

/// The choice that came as an object: one function, or those that are allowed.
void read_choice_object(const JsonValue& choice, ToolChoice& out) {
  const json& raw = choice.raw();
  JsonObject in = choice.object();
  if (raw.value("type", json()) != "allowed_tools") {
    if (!names_function(raw))
      return choice.wrong("must be {{\"type\": \"function\", \"function\": {{\"name\": ...}}}} or allowed_tools");
    out.mode = Mode::named;
    return read_name(in, out.allowed);
  }
  constexpr Named<Mode> kModes[] = {{"auto", Mode::automatic}, {"required", Mode::required}};
  JsonObject allowed = in.need("allowed_tools").object();
  if (!allowed.present()) return;
  allowed.need("mode").into(out.mode, kModes);
  allowed.need("tools").each({1, kMaxTools}, [&](const JsonValue& tool) {
    JsonObject one = tool.object();
    if (one.present()) read_name(one, out.allowed);
  });
}

}  // namespace

bool read_tools(JsonObject& body, ToolChoice& out) {
  std::vector<std::string> names;
  if (const JsonValue tools = body.want("tools"); tools.present())
    tools.each({0, kMaxTools}, [&](const JsonValue& tool) { read_function(tool, names); });
  body.want("parallel_tool_calls").into(out.parallel);
  if (const JsonValue old = body.want("function_call"); old.present()) old.wrong("is not supported; say tool_choice");
  const JsonValue choice = body.want("tool_choice");
  if (!choice.present()) return true;
  if (choice.raw().is_object()) {
    read_choice_object(choice, out);
  } else {
    enum class Word { none, automatic, required };
    constexpr Named<Word> kWords[] = {{"none", Word::none}, {"auto", Word::automatic}, {"required", Word::required}};
    Word word = Word::automatic;
    if (!choice.raw().is_string()) return choice.wrong_type("a word or an object that names a function"), true;
    if (choice.into(word, kWords) && word == Word::none) return false;
    if (word == Word::required) out.mode = Mode::required;
  }
  if (names.empty() && (out.mode != Mode::automatic || !out.allowed.empty()))
    choice.wrong("demands a call, and there are no tools; give tools");
  for (const auto& name : out.allowed)
    if (std::ranges::find(names, name) == names.end())
      choice.wrong("names the function '{}', which is not among the tools", clip_utf8(name, kMaxWord));
  return true;
}

}  // namespace sluice::coordinator
