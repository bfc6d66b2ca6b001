#!/bin/bash
# Makes the AOT caches of a distribution: the engine and the command run once, and the JVM keeps the classes that they
# loaded and what it learned about them (JEP 483, 514, 515). Usage: train.sh DIRECTORY
set -euo pipefail

dist=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/node-training"

cat >"$work/rund.toml" <<END
state_dir = "$work/state"
idle_timeout = "3s"
END
export RUND_CONFIG=$work/rund.toml

die() { cat "$work"/*.log >&2; echo "train: $*" >&2; exit 1; }

echo "train: the engine and the command run once, for their AOT caches" >&2
mkfifo "$work/ready"
RUND_AOT_OUTPUT=$dist/lib/engine.aot "$dist/libexec/rund-engine" --socket "$work/state/node-training/engine.sock" \
  --containerd-ttrpc "$work/nobody.sock" --config "$work/rund.toml" --log "$work/engine.log" --ready-fd 3 \
  >>"$work/output.log" 2>&1 3>"$work/ready" &
engine=$!
[ "$(cat "$work/ready")" = ready ] || die "the engine does not start"
RUND_AOT_OUTPUT=$dist/lib/rund.aot "$dist/bin/rund" list >"$work/rund.log" 2>&1 || die "'rund list' fails"
wait $engine || die "the engine ended with status $?"
for cache in engine rund; do
  [ -f "$dist/lib/$cache.aot" ] || die "the JVM made no $cache.aot"
done
