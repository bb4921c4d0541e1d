#pragma once
// An answer that says what is left of its caller's budgets, in the headers that OpenAI's clients read. It keeps the
// request's lease until the answer is given away. Threading and failure: as the responder it stands for.
#include <memory>
#include <utility>

#include "coordinator/http/types.h"
#include "coordinator/tenants/tenants.h"

namespace sluice::coordinator {

class QuotaResponder final : public Responder {
 public:
  QuotaResponder(std::shared_ptr<Responder> out, std::shared_ptr<Tenants::Lease> lease)
      : out_(std::move(out)), lease_(std::move(lease)) {}

  void respond(HttpResponse response) override {
    add_to(response.headers);
    out_->respond(std::move(response));
  }
  [[nodiscard]] std::shared_ptr<StreamWriter> begin_stream(int status, HttpHeaders headers) override {
    add_to(headers);
    return out_->begin_stream(status, std::move(headers));
  }
  void on_disconnect(std::function<void(Disconnect)> gone) override { out_->on_disconnect(std::move(gone)); }
  void keep_alive(std::string comment, std::function<void()> begin) override {
    out_->keep_alive(std::move(comment), std::move(begin));
  }
  [[nodiscard]] bool closed() const override { return out_->closed(); }

 private:
  void add_to(HttpHeaders& headers) const {
    for (const auto& [name, value] : lease_->headers()) headers.add(name, value);
  }
  std::shared_ptr<Responder> out_;
  std::shared_ptr<Tenants::Lease> lease_;
};

}  // namespace sluice::coordinator
