#!/bin/bash
# `make run`: a redis from Debian's packages in a KVM sandbox, started by a real containerd.
# In the lab where this machine has no KVM that runs a kernel, directly on it where it has (docs/lab.md).
set -euo pipefail

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
lab=$here/lab/lab
id=redis-demo
image=docker.io/rund/redis:latest
runtime=io.containerd.rund.v2
bold='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
in_lab() { "$lab" exec -- "$@"; }
shown() { printf '   # %s\n' "$*"; "$lab" exec -- "$@" | sed 's/^/   /'; }
clean() { in_lab sh -c "ctr task rm -f $id; ctr container rm $id" >/dev/null 2>&1 || true; }

failed() {
  local status=$?
  trap - EXIT
  [ $status -ne 0 ] || exit 0
  printf '\n%s== It failed (status %d). The end of the logs:%s\n' "$bold" $status "$plain" >&2
  # shellcheck disable=SC2016
  in_lab sh -c 'for log in /run/rund/*/engine.log "$RUND_LAB_LOG"; do
    if [ -f "$log" ]; then echo "--- $log"; tail -n 25 "$log"; fi; done' >&2 || true
  clean
  exit $status
}
trap failed EXIT
trap 'exit 130' INT TERM

step "A place to run: containerd with rund"
"$lab" up
shown uname -sr
shown containerd --version

step "An image with redis"
archive=$("$here/images/redis.sh")
key=$(basename "$(readlink -f "$archive")" .tar)
if in_lab ctr image ls name==$image | grep -q "archive=$key"; then
  echo "   $image is there already"
else
  shown ctr image import "$archive"
  in_lab ctr image label $image "archive=$key" >/dev/null
fi

step "Redis in a sandbox"
clean
shown ctr run -d --runtime $runtime $image $id
shown ctr task ls

step "It serves"
printf '   waiting for redis '
for _ in {1..60}; do
  if [ "$(in_lab ctr task exec --exec-id ping-$RANDOM $id redis-cli ping 2>/dev/null)" = PONG ]; then break; fi
  printf '.'
  sleep 0.5
done
printf '\n'
shown ctr task exec --exec-id set $id redis-cli set greeting "hello from a virtual machine"
shown ctr task exec --exec-id get $id redis-cli get greeting
[ "$(in_lab ctr task exec --exec-id check $id redis-cli get greeting)" = "hello from a virtual machine" ]

step "On a kernel of its own"
inside=$(in_lab ctr task exec --exec-id uname $id uname -r)
outside=$(in_lab uname -r)
printf '   host     %s\n   sandbox  %s\n' "$outside" "$inside"
[ "$inside" != "$outside" ]

step "How it started"
shown rund timeline $id
shown rund list

step "Stop and remove"
shown ctr task kill $id
for _ in {1..60}; do
  if in_lab ctr task ls | grep -q "^$id .*STOPPED"; then break; fi
  sleep 0.5
done
shown ctr task rm $id
shown ctr container rm $id

step "What to try next"
cat <<TEXT
   make lab                                                    a shell where containerd and rund are
   ctr run --rm -t --runtime $runtime $image try sh
   rund doctor                                                 is this host fit for rund?
   make test                                                   everything that docs/specification.md promises
   make bench                                                  how fast, compared with QEMU and with C
TEXT
