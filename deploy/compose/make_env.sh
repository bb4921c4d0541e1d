#!/usr/bin/env bash
# Draws the secrets of the compose cluster into .env beside compose.yaml, which only you can read. Keeps one that is there.
set -euo pipefail
cd "$(dirname "$0")"
if [ -e .env ]; then
  echo "make_env: $PWD/.env is there already"
  exit 0
fi
draw() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
printf 'SLUICE_API_KEY=%s\nSLUICE_CLUSTER_TOKEN=%s\n' "$(draw)" "$(draw)" >.env
echo "make_env: $PWD/.env has a key for clients and a token for nodes"
