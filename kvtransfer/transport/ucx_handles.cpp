#include "kvtransfer/transport/ucx_handles.h"

#include <cstdio>
#include <cstdlib>

namespace sluice::kv::ucx {
namespace {

Result<> check(ucs_status_t status, const char* what) {
  if (status == UCS_OK) return {};
  return std::unexpected(to_error(status, what));
}

/// What `print` writes into a file.
template <class Print>
std::string printed(Print print) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* f = open_memstream(&text, &size);
  if (!f) return {};
  print(f);
  (void)std::fclose(f);
  std::string out(text, size);
  std::free(text);
  return out;
}

}  // namespace

Error to_error(ucs_status_t status, std::string what) {
  Errc code = Errc::unavailable;
  if (status == UCS_ERR_CANCELED) code = Errc::cancelled;
  if (status == UCS_ERR_NO_MEMORY || status == UCS_ERR_NO_RESOURCE) code = Errc::resource_exhausted;
  if (status == UCS_ERR_INVALID_PARAM || status == UCS_ERR_INVALID_ADDR) code = Errc::invalid_argument;
  if (status == UCS_ERR_BUSY || status == UCS_ERR_ALREADY_EXISTS) code = Errc::already_exists;
  return {code, fmt::format("{}: {}", what, ucs_status_string(status)), {}};
}

Result<Config> Config::read() {
  ucp_config_t* c = nullptr;
  SLUICE_TRY(check(ucp_config_read(nullptr, nullptr, &c), "reading the UCX configuration"));
  Config config;
  config.handle_.reset(c);
  return config;
}

Result<> Config::set(const char* name, const std::string& value) {
  if (const auto s = ucp_config_modify(handle_.get(), name, value.c_str()); s != UCS_OK)
    return std::unexpected(to_error(s, fmt::format("UCX option {}={}", name, value)));
  return {};
}

Result<Context> Context::create(const Config& config) {
  ucp_params_t p{};
  p.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
  p.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;  // no RMA: nothing here is addressable from outside
  p.name = "sluice";
  ucp_context_h c = nullptr;
  SLUICE_TRY(check(ucp_init(&p, config.get(), &c), "starting UCX"));
  Context context;
  context.handle_.reset(c);
  return context;
}

std::string Context::info() const {
  return printed([this](std::FILE* f) { ucp_context_print_info(handle_.get(), f); });
}

Result<Worker> Worker::create(const Context& context) {
  ucp_worker_params_t p{};
  p.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE | UCP_WORKER_PARAM_FIELD_EVENTS;
  p.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  p.events = UCP_WAKEUP_TX | UCP_WAKEUP_RX;
  ucp_worker_h w = nullptr;
  SLUICE_TRY(check(ucp_worker_create(context.get(), &p, &w), "creating a UCX worker"));
  Worker worker;
  worker.handle_.reset(w);
  return worker;
}

Result<> Worker::on_am(unsigned id, ucp_am_recv_callback_t cb, void* arg) {
  ucp_am_handler_param_t p{};
  p.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  p.id = id;
  p.cb = cb;
  p.arg = arg;
  return check(ucp_worker_set_am_recv_handler(handle_.get(), &p), "registering the active message handler");
}

Result<int> Worker::event_fd() const {
  int fd = -1;
  SLUICE_TRY(check(ucp_worker_get_efd(handle_.get(), &fd), "getting the UCX wakeup descriptor"));
  return fd;
}

Result<bool> Worker::arm() noexcept {
  const auto s = ucp_worker_arm(handle_.get());
  if (s == UCS_OK || s == UCS_ERR_BUSY) return s == UCS_OK;
  return std::unexpected(to_error(s, "arming the UCX worker"));
}

Result<std::vector<std::byte>> Worker::address() const {
  ucp_address_t* a = nullptr;
  std::size_t n = 0;
  SLUICE_TRY(check(ucp_worker_get_address(handle_.get(), &a, &n), "reading the worker's address"));
  const auto* const p = reinterpret_cast<const std::byte*>(a);
  std::vector<std::byte> out(p, p + n);
  ucp_worker_release_address(handle_.get(), a);
  return out;
}

Result<Endpoint> Endpoint::connect(const Worker& worker, std::span<const std::byte> to, ucp_err_handler_cb_t cb,
                                   void* arg) {
  ucp_ep_params_t p{};
  p.field_mask =
      UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  p.address = reinterpret_cast<const ucp_address_t*>(to.data());
  p.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  p.err_handler = {cb, arg};
  Endpoint ep;
  SLUICE_TRY(check(ucp_ep_create(worker.get(), &p, &ep.handle_), "opening an endpoint"));
  return ep;
}

Request Endpoint::close() {
  if (!handle_) return {};
  ucp_request_param_t p{};
  p.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  p.flags = UCP_EP_CLOSE_FLAG_FORCE;
  return Request(ucp_ep_close_nbx(std::exchange(handle_, nullptr), &p));
}

std::string Endpoint::info() const {
  return printed([this](std::FILE* f) { ucp_ep_print_info(handle_, f); });
}

}  // namespace sluice::kv::ucx
