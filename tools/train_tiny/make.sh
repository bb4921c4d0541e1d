#!/usr/bin/env bash
# Make models/sluice-tiny from nothing: make.sh WORKDIR [python]
set -euo pipefail
work=${1:?usage: make.sh WORKDIR [python]}
py=${2:-python3}
here=$(cd "$(dirname "$0")" && pwd)
model=$here/../../models/sluice-tiny
export OMP_NUM_THREADS=1
# Keep freed buffers: without this the allocator returns them to the system at every step.
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=16000000000 MALLOC_TOP_PAD_=268435456
mkdir -p "$work"
"$py" "$here/corpus.py" --work "$work"
"$py" "$here/make_tokenizer.py" --work "$work" --out "$model"
"$py" "$here/make_eval.py" --work "$work" --model "$model"
"$py" "$here/train.py" --work "$work" --model "$model"
cp "$work/ckpt/model.safetensors" "$model/model.safetensors"
chmod 644 "$model/model.safetensors"
"$py" "$here/evaluate.py" --model "$model" --out "$model/eval_transformers.json"
