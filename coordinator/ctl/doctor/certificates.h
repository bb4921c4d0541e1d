#pragma once
// Certificate and key files, and files of secrets: whether a daemon given them would start, and whether others can read
// what they must not. Facts come from the files by OpenSSL; judging them is pure, the time is given.
// Threading: any. Failure: none; what cannot be read is a finding.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/ctl/doctor/finding.h"

namespace sluice::ctl::doctor {

struct CertificateFiles {
  std::string cert, key, ca;         // PEM; empty: not given
  std::vector<std::string> secrets;  // files of API keys, tokens, configuration with such in it
};

struct FileFacts {
  std::string path;
  std::string error;  // why it cannot be read or parsed; empty: it can
  unsigned mode = 0;  // permission bits
};

struct CertificateFacts {
  std::optional<FileFacts> cert, key, ca;
  std::string name;  // the certificate's subject
  std::chrono::sys_seconds not_before{}, not_after{};
  std::optional<bool> key_matches;  // known when both could be read
  std::optional<bool> ca_signed;    // known when certificate and CA could be read
  std::vector<FileFacts> secrets;
};

[[nodiscard]] CertificateFacts read_certificates(const CertificateFiles& files);
[[nodiscard]] Findings judge_certificates(const CertificateFacts& facts, std::chrono::sys_seconds now);

}  // namespace sluice::ctl::doctor
