# shellcheck shell=bash
# Sourced, in the lab, by every script of the end-to-end tests. PROBE is the probe's path there.
set -uo pipefail

export CONTAINERD_NAMESPACE=e2e
# shellcheck disable=SC2034
image=docker.io/rund/test:latest
state=${CONTAINERD_ADDRESS%/*}
work=$(mktemp -d)
# With a result that was not expected is shown what the engines said: of a JVM that reports its own death, why and where.
engine_said() {
  local log
  for log in "$work"/variant/*/engine.log{.1,} /run/rund/*/engine.log{.1,}; do
    if grep -q '^# A fatal error' "$log" 2>/dev/null; then
      echo "$log:"
      grep -E '^(#|siginfo|Current thread|[VCJj] ) *[^ ]' "$log" | head -n 50
    elif [ "${log##*.}" = log ] && [ -f "$log" ]; then
      echo "$log:"
      tail -n 30 "$log"
    fi
  done
}
script_end() {
  engine_said >&2
  rm -rf "$work"
}
trap script_end EXIT

runtime=io.containerd.rund.v2
snapshotter=${RUND_SNAPSHOTTER:-overlayfs}

# sandbox [FLAG...] IMAGE ID COMMAND...: runs a container to its end. launch: starts it and returns.
sandbox() { ctr run --rm --snapshotter "$snapshotter" --runtime "$runtime" "$@"; }
launch() { ctr run -d --null-io --snapshotter "$snapshotter" --runtime "$runtime" "$@"; }

# variant LINE...: from here on, $runtime is a rund whose engine has another configuration, and `rund` asks that engine;
# variant_end waits until it has left by itself.
variant() {
  local launcher
  launcher=$(readlink -f "$(command -v containerd-shim-rund-v2)")
  { echo "state_dir = \"$work/variant\""; echo 'idle_timeout = "3s"'; printf '%s\n' "$@"; } >"$work/rund.toml"
  printf '#!/bin/sh\nRUND_CONFIG=%s exec %s "$@"\n' "$work/rund.toml" "$launcher" >"$work/containerd-shim-variant-v2"
  chmod +x "$work/containerd-shim-variant-v2"
  runtime=$work/containerd-shim-variant-v2
  export RUND_CONFIG=$work/rund.toml
}
variant_left() { ! pgrep -f -- "--socket $work/variant" >/dev/null; }
variant_end() { until_true 90 variant_left; say engine_left $?; }

# attempt NAME COMMAND...: says NAME_status, and NAME: what was written to standard error, in one line.
attempt() {
  local name=$1
  shift
  "$@" 2>"$work/err"
  say "${name}_status" $?
  say "$name" "$(tr '\n' ' ' <"$work/err")"
}

# say KEY VALUE: one line of the answer that the test reads.
say() { printf '%s=%s\n' "$1" "$2"; }

# plain: what was on a terminal, without carriage returns and what script(1) types at the end of its own input.
plain() { tr -d '\r' | sed 's/\^@//'; }

# until_true SECONDS COMMAND...: whether COMMAND succeeds within SECONDS.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.3
  done
}

task_is() { ctr task ls | awk -v id="$1" -v status="$2" '$1 == id && $3 == status { found = 1 } END { exit !found }'; }

# discard ID...: ends and forgets containers in whatever state.
discard() {
  local id
  for id in "$@"; do
    ctr task rm -f "$id" >/dev/null 2>&1
    ctr container rm "$id" >/dev/null 2>&1
  done
  return 0
}

sweep() {
  local ids
  ids=$(ctr container ls -q)
  # shellcheck disable=SC2086
  [ -z "$ids" ] || discard $ids
}

# The engines that run; normally one.
engines() { pgrep -f -- '^[^ ]*java .* --socket [^ ]*/engine.sock' || true; }

engine_log() { for log in /run/rund/*/engine.log; do [ ! -f "$log" ] || tail -n "${1:-40}" "$log"; done; }

# kill_containerd, start_containerd: with SIGKILL, and again with the command that it was started with.
kill_containerd() {
  local pid
  for pid in $(pgrep -f -- '^[^ ]*containerd --config [^ ]*/containerd.toml$'); do
    mapfile -d '' containerd <"/proc/$pid/cmdline"
    if grep -q "\"$CONTAINERD_ADDRESS\"" "${containerd[2]}"; then break; fi
  done
  kill -KILL "$pid"
  while [ -d "/proc/$pid" ]; do sleep 0.1; done
}
start_containerd() {
  ulimit -n 1048576
  env -u RUND_CONFIG setsid "${containerd[@]}" </dev/null >>"$RUND_LAB_LOG" 2>&1 &
  echo $! >"${containerd[2]%/*}/containerd.pid"
  disown
  until_true 120 ctr version
}

# watch_events, events_of ID: what containerd publishes from the first on, and the topics of one task's, each with the exec
# and the exit status that it names.
watch_events() {
  ctr events >"$work/events" 2>/dev/null &
  export watcher=$!
  until [ -s "$work/events" ]; do
    ctr image label "$image" "watched=$RANDOM" >/dev/null
    sleep 0.3
  done
}
events_of() {
  grep " /tasks/.*\"container_id\":\"$1\"" "$work/events" |
    sed -E 's|^.* /tasks/([a-z-]*) .*|\1 &|; s|^([a-z-]*) .*"(exec_)?id":"([^"]*)".*"exit_status":([0-9]*).*|\1 \3 \4|
      s|^([a-z-]*) .*"exec_id":"([^"]*)".*|\1 \2|; s|^([a-z-]*) .*"exit_status":([0-9]*).*|\1 \2|; s|^([a-z-]*) .* /tasks/.*|\1|' |
    sed "s| $1\b||" | tr '\n' ';'
}

# What rund, containerd and the kernel hold, one "kind<TAB>item" a line: the raw material of HostState.
host_state() {
  "$PROBE" host /run/rund /run/containerd/fifo "$state/io.containerd.runtime.v2.task"
  ctr container ls -q | sed 's/^/container\t/'
  find /sys/class/net /run/netns -mindepth 1 -maxdepth 1 -printf 'network\t%p\n' 2>/dev/null || true
}

# For tests of file systems: on overlaid folders whatever the snapshotter of the other tests is, with the image of FilesImage.
# shellcheck disable=SC2034
files_image=docker.io/rund/files:latest
overlaid() { ctr run --rm --snapshotter overlayfs --runtime "$runtime" "$@"; }

# disk_folder FOLDER SIZE: mounts a new ext4 there, until the script ends.
disk_folder() {
  truncate -s "$2" "$work/disk"
  mkfs.ext4 -q "$work/disk" && mkdir -p "$1" && mount -o loop "$work/disk" "$1" || return
  # shellcheck disable=SC2064
  trap "umount -l '$1'; script_end" EXIT
}

# Whether a sandbox that runs is a clone: its memory is a private mapping of its template's. A start of `rund timeline`, which says
# it too, takes ten seconds in the lab.
clone_runs() {
  local engine
  for engine in $(engines); do if grep -q "rw-p .*memfd:rund-template" "/proc/$engine/maps"; then return; fi; done
  return 1
}

# Memory of the engine that is not shared with others, in KiB.
# Of an engine that has nothing to do, when it has given back what it can (EngineMemory: after ten seconds).
quiet_engine_memory() { sleep 20; engine_memory; }
engine_memory() { awk '/^RssAnon/ { print $2 }' "/proc/$(engines | head -n 1)/status"; }
