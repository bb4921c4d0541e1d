#!/usr/bin/env bash
# make demo: start a cluster on the bundled model, stream an answer, show that the model reads its context and what
# Sluice decided; then, on a link that is slowed down on purpose, what compression buys; stop. Ends with "demo: ok" or fails; leaves nothing running either way.
set -euo pipefail
cd "$(dirname "$0")/.."

run_dir=$(mktemp -d "${TMPDIR:-/tmp}/sluice-demo.XXXXXX")
sluicectl() { build/bin/sluicectl --run-dir "$run_dir" "$@"; }

stop() {
  local code=$?
  trap - EXIT
  trap '' INT TERM
  sluicectl down || code=1
  if ((code != 0)); then
    tail -n 20 "$run_dir"/*.log >&2 || true
    echo "demo: failed" >&2
    exit "$code"
  fi
  rm -rf "$run_dir"
  echo "demo: ok"
}
trap stop EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n' "$*"; }

say "one prefill node, one decode node (on one machine it would be sooner to compute prompts where they are decoded)"
sluicectl up --model models/sluice-tiny --prefill 1 --decode 1 --local-prefill off --port 0 --detach
sluicectl nodes

say "an answer, token by token (the model is tiny: it has a style, and no knowledge)"
sluicectl chat "Tell me about Elizabeth and her sister." --max-tokens 48 --temperature 0.8 --explain

facts="The code of stone is light father.
It was a sweet view--sweet to the eye and the mind.
The code of window is simple silver.
She was not struck by any thing remarkably clever in the conversation.
The code of bread is early music.
The party was to be our brother and sister, Henry, John--and Miss Smith.
The code of morning is strong paper.
I always deserve the best treatment, because I never put up with any other;
The code of table is open winter."
question="What is the code of bread?"
expected="The code of bread is early music."

say "recall: five facts among other lines, then: $question"
sluicectl chat "$facts
$question" --max-tokens 40 --temperature 0 --explain | tee "$run_dir/answer"
if ! grep -qxF "$expected" "$run_dir/answer"; then
  echo "the answer should be: $expected" >&2
  exit 1
fi

say "what was decided"
sluicectl decisions

say "what compression buys: one long prompt, KV over a link of 50 Mb/s, the first token wanted within 400 ms"
sluicectl down
sluicectl up --model models/sluice-tiny --port 0 --link-limit-mbps 50 --slo-ttft-ms 400 --probe-share 0 --detach
tools/demo_link.py --run-dir "$run_dir"

say "stop"
