#!/usr/bin/env bash
# Sluice on a real link whose rate changes: prefill and decode nodes in two network namespaces joined by a veth pair that
# `tc tbf` shapes; steps its rate under a steady load through HTTP, records every decision, measures each static profile
# at each rate beside it, and writes docs/evidence/shaped_link.md with its figure.
#
#   sluice-control (coordinators, clients)
#      | unshaped veth            | unshaped veth        control plane, HTTP
#   sluice-prefill ===== veth, tbf both ways ===== sluice-decode        KV over UCX
#
# Two clusters share the shaped link: the first meets the steps with nothing but its own requests to learn from; the
# second runs requests pinned to a profile. First all profiles at each rate, one request at a time; then, during the
# steps, the best few of them in turns, half an interval after each request of the first cluster, so that what else the
# machine does meets both alike. Needs root, iproute2 and a kernel with network namespaces, veth and tbf; touches nothing
# outside the namespaces it makes, and removes them however it ends.
#
# Exit: 0, or 77 when this machine lacks what is needed (it says what), or 1.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=build/bin model=models/sluice-tiny work='' report=1 check=0 keep=0
rates='50 200 1000 10000 1000 200 50' # Mb/s
requests=60 statics=6 beside=3 interval=0.6 prompts='1000,2000,3000' output=4
slo_ttft=400 quality_kl=0.05 profiles=''

usage() {
  sed -n '2,/^# Exit/p' "$0" | sed 's/^# \?//'
  cat <<EOF

Usage: tools/shaped_link.sh [options]
  --check               only say whether this machine can run it
  --bin DIR             programs ($bin)
  --rates "A B ..."     Mb/s, in order ("$rates")
  --requests N          per step ($requests)
  --static-requests N   per static profile and rate, before the steps ($statics); 0 leaves the comparators out
  --beside N            so many of the best statics run during the steps ($beside)
  --interval S          between two requests ($interval)
  --prompts A,B,...     prompt lengths in tokens, in turns ($prompts)
  --slo-ttft-ms MS      TTFT objective ($slo_ttft)
  --quality-kl X        quality budget ($quality_kl)
  --profiles "A B ..."  statics to run; default: every profile within the budget
  --work DIR            keep logs and result.json here; default: a temporary directory, kept after a failure
  --no-report           do not write docs/evidence/shaped_link.md
EOF
}

while (($#)); do
  case $1 in
    --check) check=1 ;;
    --no-report) report=0 ;;
    --help | -h) usage; exit 0 ;;
    --bin | --rates | --requests | --static-requests | --beside | --interval | --prompts | --slo-ttft-ms | --quality-kl | --profiles | --work)
      (($# > 1)) || { echo "$1 needs a value" >&2; exit 1; }
      case $1 in
        --bin) bin=$2 ;;
        --rates) rates=$2 ;;
        --requests) requests=$2 ;;
        --static-requests) statics=$2 ;;
        --beside) beside=$2 ;;
        --interval) interval=$2 ;;
        --prompts) prompts=$2 ;;
        --slo-ttft-ms) slo_ttft=$2 ;;
        --quality-kl) quality_kl=$2 ;;
        --profiles) profiles=$2 ;;
        --work) work=$2 keep=1 ;;
      esac
      shift ;;
    *) echo "unknown option $1; --help lists them" >&2; exit 1 ;;
  esac
  shift
done

# Names carry our pid, so that two runs do not meet; interface names have 15 characters at most.
id=$$
C=sluice-control-$id P=sluice-prefill-$id D=sluice-decode-$id
in_c() { ip netns exec "$C" "$@"; }
in_p() { ip netns exec "$P" "$@"; }
in_d() { ip netns exec "$D" "$@"; }

stopped=0
# Everything we start runs in our namespaces, which know it.
running() { for ns in "$C" "$P" "$D"; do ip netns pids "$ns" 2>/dev/null || true; done; }
cleanup() {
  local code=$?
  ((stopped)) && return
  stopped=1
  trap '' INT TERM HUP
  running | xargs -r kill 2>/dev/null || true
  for _ in $(seq 50); do
    [ -z "$(running)" ] && break
    sleep 0.1
  done
  running | xargs -r kill -9 2>/dev/null || true
  wait 2>/dev/null || true
  for ns in "$C" "$P" "$D"; do ip netns del "$ns" 2>/dev/null || true; done
  if ((code == 130)); then
    echo "shaped_link: stopped" >&2
  elif ((code != 0 && code != 77)) && [ -n "$work" ] && ls "$work"/*.log >/dev/null 2>&1; then
    tail -n 8 "$work"/*.log >&2
    echo "shaped_link: failed; logs are in $work" >&2
  fi
  if ((!keep && (code == 0 || code == 130))) && [ -n "$work" ]; then rm -rf "$work"; fi
  exit "$code"
}

missing() {
  echo "shaped_link: cannot run here: $*" >&2
  exit 77
}

shape() { # Mb/s; bursts of 1/4 ms: what leaves in one makes a frame look faster than the link
  local burst=$(($1 * 31)) how=$2
  ((burst < 16384)) && burst=16384
  in_p tc qdisc "$how" dev kv-p root tbf rate "$1mbit" burst "$burst" latency 100ms
  in_d tc qdisc "$how" dev kv-d root tbf rate "$1mbit" burst "$burst" latency 100ms
}

check_needs() {
  [ "$(id -u)" = 0 ] || missing "it makes network namespaces, which takes root"
  for tool in ip tc python3; do command -v "$tool" >/dev/null || missing "no '$tool' (ip and tc are in iproute2)"; done
  for program in coordinator prefill decode; do
    [ -x "$bin/sluice-$program" ] || missing "no $bin/sluice-$program; make build"
  done
}

make_link() {
  local why
  for ns in "$C" "$P" "$D"; do
    why=$(ip netns add "$ns" 2>&1) || missing "the kernel refuses network namespaces ($why)"
    ip -n "$ns" link set lo up
  done
  join() { # namespace device address, twice
    why=$(ip link add "$2" netns "$1" type veth peer name "$5" netns "$4" 2>&1) || missing "the kernel refuses veth ($why)"
    ip -n "$1" addr add "$3" dev "$2" && ip -n "$1" link set "$2" up
    ip -n "$4" addr add "$6" dev "$5" && ip -n "$4" link set "$5" up
  }
  join "$C" to-p 10.99.1.1/24 "$P" ctl-p 10.99.1.2/24
  join "$C" to-d 10.99.2.1/24 "$D" ctl-d 10.99.2.2/24
  join "$P" kv-p 10.99.3.1/24 "$D" kv-d 10.99.3.2/24
  # UCX looks at its devices once: a link whose carrier is not announced yet would be missing.
  for _ in $(seq 100); do
    ip -n "$P" link show kv-p | grep -q 'state UP' && ip -n "$D" link show kv-d | grep -q 'state UP' && break
    sleep 0.05
  done
  why=$(shape "${rates%% *}" add 2>&1) || missing "the kernel refuses tbf ($why)"
}

# start NAME PORT PROBE_SHARE: one cluster, 1P1D. Its HTTP is at 127.0.0.1:PORT in the control namespace.
start() {
  local name=$1 port=$2 control=$(($2 + 1))
  in_c "$bin/sluice-coordinator" --model "$model" --port "$port" --control-listen "0.0.0.0:$control" --insecure-bind \
    --slo-ttft-ms "$slo_ttft" --quality-kl "$quality_kl" --max-wait-s 60 >"$work/$name-coordinator.log" 2>&1 &
  in_p "$bin/sluice-prefill" --name "$name-p" --coordinator "10.99.1.1:$control" --model "$model" --threads 1 \
    --ucx-net-devices kv-p --prefix-cache off >"$work/$name-prefill.log" 2>&1 &
  in_d "$bin/sluice-decode" --name "$name-d" --coordinator "10.99.2.1:$control" --model "$model" --threads 1 \
    --ucx-net-devices kv-d --data-listen 10.99.3.2:0 >"$work/$name-decode.log" 2>&1 &
}

load() { in_c python3 tools/shaped_link_load.py --out "$work/requests.jsonl" --prompts "$prompts" --output "$output" "$@"; }

run_statics() {
  local n rate
  n=$(wc -w <<<"$profiles")
  for rate in $(tr ' ' '\n' <<<"$rates" | sort -nu); do
    shape "$rate" change
    load --url 127.0.0.1:9200 --interval 0 --count $((statics * n)) --profiles "$profiles" --label "static 0 $rate"
    say "statics at $rate Mb/s: done"
  done
}

best_at() { # Mb/s
  ((statics > 0)) || return 0
  python3 tools/shaped_link_report.py --requests "$work/requests.jsonl" --best "$beside" --rate "$1"
}

say() { echo "shaped_link: $*"; }

trap cleanup EXIT
trap 'exit 130' INT TERM HUP
check_needs
make_link
if ((check)); then
  say "this machine has what it takes"
  exit 0
fi
[ -n "$work" ] || work=$(mktemp -d "${TMPDIR:-/tmp}/sluice-shaped.XXXXXX")
mkdir -p "$work"
rm -f "$work/requests.jsonl"

start steps 9100
start statics 9200
for port in 9100 9200; do in_c python3 tools/shaped_link_load.py --url "127.0.0.1:$port" --wait 60; done
[ -n "$profiles" ] || profiles=$(in_c python3 tools/shaped_link_load.py --url 127.0.0.1:9200 --list-profiles)
say "both clusters are up; statics: $profiles"

# A cluster's first requests pay for pages and connections; they are not what is measured.
load --url 127.0.0.1:9200 --interval 0 --count $((2 * $(wc -w <<<"$profiles"))) --profiles "$profiles" --label "warm 0 0"
((statics == 0)) || run_statics
shape "${rates%% *}" change
load --url 127.0.0.1:9100 --interval "$interval" --count 3 --label "warm 0 0"
visit=0
for rate in $rates; do
  shape "$rate" change
  load --url 127.0.0.1:9100 --interval "$interval" --count "$requests" --label "step $visit $rate" \
    --beside 127.0.0.1:9200 --beside-profiles "$(best_at "$rate")"
  say "step $visit, $rate Mb/s: done"
  visit=$((visit + 1))
done

arguments=(--requests "$work/requests.jsonl" --slo-ttft-ms "$slo_ttft")
((report)) && arguments+=(--write)
python3 tools/shaped_link_report.py "${arguments[@]}"
