#include "coordinator/ctl/command_line.h"

#include <fmt/format.h>

#include <utility>

#include "common/secret_file.h"
#include "coordinator/ctl/coordinators.h"

namespace sluice::ctl {

Result<std::vector<std::string>> Common::urls() const {
  if (!url.empty()) return split_urls(url);
  SLUICE_ASSIGN(const auto state, dir().load());
  if (state && !state->url.empty() && serves(*state)) return state->urls();
  return std::vector<std::string>{"127.0.0.1:8000"};
}

Result<Endpoint> Common::endpoint_of(const std::string& at) const {
  SLUICE_ASSIGN(const auto address, address_of_url(at));
  SLUICE_ASSIGN(std::string key, secret());
  Endpoint e{address, std::move(key)};
  if (!is_https(at)) {
    if (!tls.ca.empty() || !tls.cert.empty()) return fail_param("ca", "--ca and --cert are for https:// URLs");
    return e;
  }
  SLUICE_ASSIGN(e.tls, tls::Context::load({tls::Side::client, tls}));
  return e;
}

Result<std::string> Common::where() const {
  SLUICE_ASSIGN(const auto all, urls());
  std::vector<Endpoint> coordinators;
  for (const std::string& at : all) {
    SLUICE_ASSIGN(coordinators.emplace_back(), endpoint_of(at));
  }
  SLUICE_ASSIGN(const auto chosen, first_answering(coordinators));
  return all[chosen];
}

Result<Endpoint> Common::endpoint() const {
  SLUICE_ASSIGN(const std::string at, where());
  return endpoint_of(at);
}

Result<std::string> Common::secret() const {
  return api_key_file.empty() ? Result<std::string>(api_key) : read_secret_line(api_key_file);
}

void add_common_flags(flags::App& app, Common& common) {
  app.add_option("--url", common.url,
                 "Coordinator, http(s)://host:port; several with commas, of which the first that is ready will do; "
                 "default: the local cluster, else 127.0.0.1:8000");
  app.add_option("--api-key", common.api_key, "Bearer key; not on the command line")
      ->secret("SLUICE_API_KEY", "--api-key-file FILE");
  app.add_option("--api-key-file", common.api_key_file, "File with the bearer key, of mode 600");
  app.add_option("--ca", common.tls.ca,
                 "Authorities that https servers' certificates come from; default: the system's");
  app.add_option("--cert", common.tls.cert, "Certificate to show to https servers that demand one");
  app.add_option("--key", common.tls.key, "Its private key, of mode 600");
  app.add_option("--run-dir", common.run_dir, "Where the local cluster keeps its state and logs")
      ->capture_default_str();
  app.add_flag("--json", common.json, "Print JSON");
}

flags::App* command(flags::App& app, Body& chosen, const std::string& name, const std::string& help, Body body) {
  flags::App* c = app.add_subcommand(name, help);
  c->fallthrough();  // the common options may follow the command
  c->callback([&chosen, body = std::move(body)] { chosen = body; });
  return c;
}

void print(const nlohmann::json& j) {
  fmt::print("{}\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace sluice::ctl
