#include <catch2/catch.hpp>

#include "coordinator/ctl/load/trace.h"

using namespace sluice::ctl::load;

TEST_CASE("Azure's traces are read, times counted from the first request") {
  const auto p = parse_trace(
                     "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
                     "2023-11-16 23:59:59.5000000,4808,10\r\n"
                     "2023-11-17 00:00:01.2500000,3180,8")
                     .value();
  REQUIRE(p.size() == 2);
  CHECK(p[0] == PlannedRequest{0, 4808, 10});
  CHECK(p[1].at_s == Approx(1.75));
  CHECK(p[1].input_tokens == 3180);
}

TEST_CASE("Azure's traces of 2024 name their zone, and may lack a fraction") {
  const auto p = parse_trace(
                     "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                     "2024-05-10 00:00:00.009930+00:00,2162,5\n"
                     "2024-05-10 00:00:01+00:00,2399,6\n"
                     "2024-05-10 00:00:02Z,76,15\n")
                     .value();
  REQUIRE(p.size() == 3);
  CHECK(p[0] == PlannedRequest{0, 2162, 5});
  CHECK(p[1].at_s == Approx(0.99007));
  CHECK(p[2].at_s == Approx(1.99007));
}

TEST_CASE("Mooncake's traces are read, in the order of time") {
  const auto p = parse_trace(
                     "{\"timestamp\": 1500, \"input_length\": 7, \"output_length\": 6, \"hash_ids\": [1]}\n\n"
                     "{\"timestamp\": 500, \"input_length\": 9, \"output_length\": 4}\n")
                     .value();
  REQUIRE(p.size() == 2);
  CHECK(p[0] == PlannedRequest{0, 9, 4});
  CHECK(p[1].at_s == Approx(1));
}

TEST_CASE("a broken trace is refused with its line") {
  const std::string head = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9,1,1\n";
  for (const char* bad :
       {"x", "2023-11-16 18:17:03.9,1", "2023-11-16 18:17:03.9,-1,1", "2023-11-16 18:17:03.9,1,1e3",
        "2023-11-16 18:17:03.9,1,99999999999999999999", "2023-13-16 18:17:03.9,1,1", "2023-11-31 18:17:03.9,1,1",
        "2023-11-16 24:17:03.9,1,1", "2023-11-16 18:17:nan,1,1", "2023-11-16 18:17:03.9,200000000,1",
        "2023-11-16 18:17:03+1,1,1", "2023-11-16 18:17+00:00,1,1", "2023-11-16T18:17:03.9,1,1", ",,"}) {
    CAPTURE(bad);
    const auto p = parse_trace(head + bad);
    REQUIRE_FALSE(p);
    CHECK(p.error().message.find("line 3") != std::string::npos);
  }
  for (const char* bad :
       {R"({"timestamp": 0, "input_length": 7})", R"({"timestamp": "0", "input_length": 7, "output_length": 6})",
        R"({"timestamp": -1, "input_length": 7, "output_length": 6})",
        R"({"timestamp": 0, "input_length": -7, "output_length": 6})",
        R"({"timestamp": 0, "input_length": 1e300, "output_length": 6})",
        R"({"timestamp": 0, "input_length": 7, "output_length": 6, "hash_ids": 3})",
        R"({"timestamp": 0, "input_length": 7, "output_length": 6, "hash_ids": [0, -1]})", "{", "{}"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_trace(bad));
  }
  for (const char* bad : {"", "garbage\n", "2023-11-16 18:17:03.9,1,1\n"}) {  // no header: its first line was dropped
    const auto p = parse_trace(bad);
    REQUIRE_FALSE(p);
    CHECK(p.error().message.find("TIMESTAMP") != std::string::npos);
  }
  CHECK_FALSE(parse_trace("TIMESTAMP,ContextTokens,GeneratedTokens\n"));
}

TEST_CASE("BurstGPT's columns are read, and requests that failed there are left out") {
  const auto plan = parse_trace(
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
      "5,ChatGPT,472,18,490,Conversation log\n"
      "45,ChatGPT,1087,0,1087,Conversation log\n"
      "118.5,GPT-4,417,276,693,API log\n");
  REQUIRE(plan);
  CHECK(*plan == Plan{{0, 472, 18}, {113.5, 417, 276}});
  CHECK_FALSE(parse_trace("Timestamp,Model,Request tokens,Response tokens\nx,y,1,2\n"));
}

TEST_CASE("a Mooncake trace keeps the ids of its prompts' blocks") {
  const auto plan =
      parse_trace(R"({"timestamp": 9, "input_length": 1030, "output_length": 6, "hash_ids": [0, 1, 77]})"
                  "\n"
                  R"({"timestamp": 5, "input_length": 700, "output_length": 6, "hash_ids": [0, 4294967295]})"
                  "\n"
                  R"({"timestamp": 7, "input_length": 7, "output_length": 6})");
  REQUIRE(plan);
  CHECK((*plan)[0].prefix_blocks == std::vector<std::uint32_t>{0, 4294967295});
  CHECK((*plan)[1].prefix_blocks.empty());
  CHECK((*plan)[2].prefix_blocks == std::vector<std::uint32_t>{0, 1, 77});
}
