#pragma once
// A generate request, ready for its legs. Nothing is left in it of its body but token ids: text, chat and JSON are
// freed where they were read. A value; made on a worker thread, used on the front thread.
#include <memory>
#include <string>
#include <vector>

#include "coordinator/api/answer_shape.h"
#include "coordinator/api/requests.h"
#include "coordinator/api/token_stream.h"
#include "text/output/output_parser.h"

namespace sluice::coordinator {

struct PreparedGeneration {
  struct Prompt {
    std::shared_ptr<const std::vector<TokenId>> ids;
    std::string echo;  // the prompt's text where the answer opens with it
    int max_tokens = 0;
  };
  GenerateRequest request;  // without its prompts and its chat
  std::vector<Prompt> prompts;
  std::vector<std::unique_ptr<TokenStream>> streams;                 // one per choice, prompt by prompt
  std::vector<std::unique_ptr<text::output::OutputParser>> parsers;  // one per choice; null: all is content
  std::unique_ptr<AnswerShape> shape;                                // how the answer is written
};

}  // namespace sluice::coordinator
