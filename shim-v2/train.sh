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
template_dir = "$work/templates"
sandbox_dir = "$work/sandboxes"
idle_timeout = "10s"
boot_timeout = "3s"
END
mkdir "$work/bundle"
cat >"$work/bundle/config.json" <<END
{"ociVersion": "1.0.2", "process": {"args": ["/none"], "cwd": "/"}, "root": {"path": "rootfs"},
 "linux": {"namespaces": [{"type": "network"}]}}
END
truncate -s 1M "$work/disk"
export RUND_CONFIG=$work/rund.toml

die() { cat "$work"/*.log >&2; echo "train: $*" >&2; exit 1; }

echo "train: the engine tries one sandbox and the command runs once, for their AOT caches" >&2
mkfifo "$work/ready"
RUND_AOT_OUTPUT=$dist/lib/engine.aot "$dist/libexec/rund-engine" --socket "$work/state/node-training/engine.sock" \
  --containerd-ttrpc "$work/nobody.sock" --config "$work/rund.toml" --log "$work/engine.log" --ready-fd 3 \
  >>"$work/output.log" 2>&1 3>"$work/ready" &
engine=$!
[ "$(cat "$work/ready")" = ready ] || die "the engine does not start"
"$dist/jre/bin/java" -cp "$dist/lib/rund.jar" io.rund.shim.Rehearsal \
  "$work/state/node-training/engine.sock" "$work/bundle" "$work/disk" >>"$work/output.log" 2>&1 ||
  die "the engine does not try to make a sandbox"
RUND_AOT_OUTPUT=$dist/lib/rund.aot "$dist/bin/rund" list >"$work/rund.log" 2>&1 || die "'rund list' fails"
wait $engine || die "the engine ended with status $?"
for cache in engine rund; do
  [ -f "$dist/lib/$cache.aot" ] || die "the JVM made no $cache.aot"
done
