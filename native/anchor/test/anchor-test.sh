#!/bin/bash
# Runs the anchor as the engine does. As root. Usage: anchor-test.sh DIRECTORY-OF-PROGRAMS
set -u
anchor=$(realpath "$1")/rund-anchor
work=$(mktemp -d)
cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
cgroup=$cgroups/rund-test-$$
failures=0
number=0
trap 'ip netns delete "rund-test-$$" 2>/dev/null; rm -rf "$work"' EXIT

check() {
    number=$((number + 1))
    local name=$1
    shift
    if "$@"; then
        echo "ok $number - $name"
    else
        failures=$((failures + 1))
        echo "not ok $number - $name"
        echo "#   failed: $*"
    fi
}

contains() { [[ $1 == *"$2"* ]]; }

# start NETNS CGROUP: leaves the pid in $pid, the write end of its stdin in $lifeline, its answer in $answer.
start() {
    local pipe=$work/pipe status=$work/status
    rm -f "$pipe" "$status"
    mkfifo "$pipe" "$status"
    "$anchor" sandbox-with-a-long-name "$1" "$2" <"$pipe" >"$status" &
    pid=$!
    exec {lifeline}>"$pipe"
    answer=$(od -An -c <"$status" | tr -d ' \n')
}

release() {
    exec {lifeline}>&-
    wait "$pid"
}

start new -
check "ready is one NUL byte" [ "$answer" = '\0' ]
check "its name is what people look for" [ "$(cat "/proc/$pid/comm")" = rund:sandbox-wi ]
check "it leads a session of its own" [ "$(ps -o sid= -p "$pid" | tr -d ' ')" = "$pid" ]
check "a new network namespace has lo up" grep -q UP <(nsenter -t "$pid" -n ip -o link show lo)
check "it costs little memory" [ "$(awk '/^Rss/ { print $2 }' "/proc/$pid/smaps_rollup")" -lt 200 ]
release
check "it ends when its stdin does" [ $? = 0 ]

ip netns add "rund-test-$$"
start "/var/run/netns/rund-test-$$" -
check "it joins an existing network namespace" \
    [ "$(stat -Lc %i "/proc/$pid/ns/net")" = "$(stat -Lc %i "/var/run/netns/rund-test-$$")" ]
release

start "$work" -
check "what is no network namespace is named" contains "$answer" "cannotjointhesandbox'snetworknamespace$work"
release
check "and ends it" [ $? = 1 ]

start - "$cgroup/pod/sandbox"
check "it makes and enters its cgroup" [ "$(cat "$cgroup/pod/sandbox/cgroup.procs")" = "$pid" ]
release
check "it removes its cgroup" [ ! -e "$cgroup/pod/sandbox" ]
check "but not what others may use" [ -d "$cgroup/pod" ]
rmdir "$cgroup/pod" "$cgroup"

start - relative/path
check "a relative cgroup is refused" contains "$answer" notanabsolutepath
release

echo "1..$number"
[ $failures = 0 ]
