#pragma once
// The JSON files of hardware/, which are part of the program: text by name, without ".json".
#include <map>
#include <string>

namespace sluice::sim {

[[nodiscard]] const std::map<std::string, std::string>& hardware_files();

}  // namespace sluice::sim
