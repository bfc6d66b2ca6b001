#!/bin/bash
# Runs the launcher against fake-engine the way containerd does. Usage: launcher-test.sh DIRECTORY-OF-PROGRAMS
set -u
programs=$(realpath "$1")
work=$(mktemp -d)
bundle=$work/bundle
state=$work/state
failures=0
number=0

stop_engines() {
    if [ -f "$work/starts" ]; then
        xargs -r kill -9 <"$work/starts" 2>/dev/null
    fi
    rm -rf "$work/starts" "$work/starts.arguments" "$state" "$bundle"
}
trap 'stop_engines; kill $mute 2>/dev/null; rm -rf "$work"' EXIT

mkdir -p "$work/rund/bin" "$work/rund/libexec"
cp "$programs/containerd-shim-rund-v2" "$work/rund/bin/"
cp "$programs/fake-engine" "$work/rund/libexec/rund-engine"
# As /usr/local/bin may hold it.
ln -s "$work/rund/bin/containerd-shim-rund-v2" "$work/containerd-shim-rund-v2"
export TTRPC_ADDRESS=/run/containerd/containerd.sock.ttrpc
export RUND_CONFIG=$work/rund.toml RUND_FAKE_STARTS=$work/starts RUND_FAKE=serve
export NOTIFY_SOCKET=/run/systemd/notify

# A fresh state: no engine, an empty bundle, the default isolation.
fresh() {
    stop_engines
    RUND_FAKE=serve
    mkdir -p "$bundle"
    printf 'state_dir = "%s" # comment\n' "$state" >"$RUND_CONFIG"
}

# run NAMESPACE ID ACTION: what containerd runs, in the bundle; output and status are kept.
run() {
    (cd "$bundle" && timeout 60 "$work/containerd-shim-rund-v2" -namespace "$1" -address /run/c.sock \
        -publish-binary /usr/bin/containerd -id "$2" "$3") >"$work/out" 2>"$work/err" <"${input:-/dev/null}"
    status=$?
    output=$(tr -d '\0' <"$work/out")
    errors=$(cat "$work/err")
}

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
        echo "#   status ${status:-} stdout '${output:-}' stderr '${errors:-}'"
    fi
}

engines() { wc -l <"$work/starts" 2>/dev/null || echo 0; }
bytes() { od -An -tx1 <"$work/out" | tr -d ' \n'; }
engine_pid() { tail -1 "$work/starts"; }
contains() { [[ $1 == *"$2"* ]]; }

# Somebody who accepts and never answers: the launcher's patience passes while the other tests run.
patient=$work/patient
mkdir -p "$patient/bundle"
echo "state_dir = '$patient'" >"$patient/rund.toml"
(cd "$patient/bundle" && RUND_CONFIG=$patient/rund.toml RUND_FAKE_STARTS=$patient/starts \
    "$work/containerd-shim-rund-v2" -namespace default -address /run/c.sock -id one start >"$patient/address")
kill -9 "$(cat "$patient/starts")"
socket=$(sed 's|^unix://||' "$patient/address")
rm "$socket"
RUND_FAKE=mute RUND_FAKE_STARTS=$patient/starts "$programs/fake-engine" --socket "$socket" 3>/dev/null &
mute=$!
while [ ! -S "$socket" ]; do sleep 0.05; done
(cd "$patient/bundle" && RUND_CONFIG=$patient/rund.toml "$work/containerd-shim-rund-v2" \
    -namespace default -address /run/c.sock -id one start 2>"$patient/errors") &
patient_launcher=$!

fresh
run default one start
check "start succeeds" [ "$status" = 0 ]
check "start prints nothing but the engine's address" [ "$output$errors" = "unix://$(echo "$state"/node-*/engine.sock)" ]
check "the bundle remembers the address" [ "$(cat "$bundle/address")" = "$output" ]
check "the engine is told of containerd" contains "$(cat "$work/starts.arguments")" \
    "--containerd-ttrpc $TTRPC_ADDRESS --config $RUND_CONFIG"
pid=$(engine_pid)
check "the engine is a little more likely to be killed than who started it, where nobody is containerd" \
    [ "$(cat "/proc/$pid/oom_score_adj")" = $(($(cat /proc/self/oom_score_adj) + 1)) ]
check "the engine leads a session of its own" [ "$(ps -o sid= -p "$pid" | tr -d ' ')" = "$pid" ]
check "the engine runs in /" [ "$(readlink "/proc/$pid/cwd")" = / ]
check "the engine has only its log and /dev/null open, and its socket" \
    [ "$(find "/proc/$pid/fd" -type l -printf '%f ')" = "0 1 2 4 " ]
check "stdout and stderr of the engine go to its log" contains "$(readlink "/proc/$pid/fd/2")" /engine.log
check "the engine does not inherit containerd's environment" \
    [ -z "$(tr '\0' '\n' <"/proc/$pid/environ" | grep NOTIFY_SOCKET)" ]
run default two start
check "a second start finds the same engine" [ "$(engines)" = 1 ]
run other three start
check "isolation node: another namespace finds it too" [ "$(engines)" = 1 ]
run default one delete
check "delete prints the engine's answer" [ "$status $(bytes)" = "0 08071009" ]
kill -9 "$pid"
while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
run default one delete
check "delete without an engine says killed, now" contains "$(bytes)" 1089011a
check "and succeeds" [ "$status$errors" = 0 ]
run default four start
check "start replaces a dead engine" [ "$status $(engines)" = "0 2" ]

fresh
RUND_FAKE=slow
for i in 1 2 3 4 5 6 7 8; do
    mkdir "$bundle/$i"
    (cd "$bundle/$i" && "$work/containerd-shim-rund-v2" -namespace default -address /run/c.sock -id "c$i" start \
        >"$work/address.$i" 2>&1) &
    starters[i]=$!
done
wait "${starters[@]}"
check "eight starts at once start one engine" [ "$(engines)" = 1 ]
check "and all get its address" [ "$(cat "$work"/address.* | sed 's|sockunix|sock\nunix|g' | sort -u | wc -l)" = 1 ]

for isolation in namespace sandbox; do
    fresh
    printf 'isolation = "%s"\n[kernel]\nisolation = "node"\n' "$isolation" >>"$RUND_CONFIG"
    run default one start
    run default two start
    run other one start
    expected=2
    [ $isolation = sandbox ] && expected=3
    check "isolation $isolation: two ids, two namespaces make $expected engines" [ "$(engines)" = $expected ]
done

fresh
printf 'isolation = "sandbox"\n' >>"$RUND_CONFIG"
run default pod start
printf '{"process":{"env":["x=\\"io.kubernetes.cri.sandbox-id\\":\\"other\\""]},"annotations":{"io.kubernetes.cri.sandbox-id": "pod"}}' \
    >"$bundle/config.json"
run default container start
check "a pod's containers are in the engine of their sandbox" [ "$(engines)" = 1 ]
kill -9 "$(engine_pid)"
mv "$bundle/address" "$work/address"
RUND_FAKE_STARTS=$work/moved RUND_FAKE=serve "$programs/fake-engine" --socket "$work/elsewhere" 3>/dev/null &
elsewhere=$!
while [ ! -S "$work/elsewhere" ]; do sleep 0.05; done
printf '{"version":2,"address":"unix://%s","protocol":"ttrpc"}' "$work/elsewhere" >"$bundle/bootstrap.json"
run default container delete
check "delete finds the engine that containerd 2 has noted" [ "$status $(bytes)" = "0 08071009" ]
kill "$elsewhere"
wait "$elsewhere" 2>/dev/null

# Somebody else than containerd, such as `rund restore`, says only where containerd is.
fresh
RUND_FAKE_STARTS=$work/containerd RUND_FAKE=serve "$programs/fake-engine" --socket "$work/c.sock" 3>/dev/null &
containerd=$!
while [ ! -S "$work/c.sock" ]; do sleep 0.05; done
echo 7 >/proc/$containerd/oom_score_adj
(cd "$bundle" && env -u TTRPC_ADDRESS "$work/containerd-shim-rund-v2" -namespace default -address "$work/c.sock" \
    -id one start >/dev/null)
check "whoever starts an engine, it tells containerd of events" contains "$(cat "$work/starts.arguments")" \
    "--containerd-ttrpc $work/c.sock.ttrpc "
check "and is a little more likely to be killed than containerd" [ "$(cat "/proc/$(engine_pid)/oom_score_adj")" = 8 ]
kill "$containerd"
wait "$containerd" 2>/dev/null

# BootstrapParams{instance_id one, namespace ns, ttrpc address /t, grpc address /g}, then Any{type_url one, value ns}.
fresh
printf '\012\003one\022\002ns\052\002/t\062\002/g' >"$work/params"
printf '\012\003one\022\002ns' >"$work/options"
input=$work/options run default one start
check "options on stdin do not change the answer" [ "$output" = "unix://$(echo "$state"/node-*/engine.sock)" ]
input=$work/params run default one start
check "who writes BootstrapParams is answered in JSON" \
    [ "$output" = "{\"version\":3,\"address\":\"unix://$(echo "$state"/node-*/engine.sock)\",\"protocol\":\"ttrpc\"}" ]
check "and the bundle remembers the bare address" [ "$(cat "$bundle/address")" = "unix://$(echo "$state"/node-*/engine.sock)" ]
input=$work/params run default other start
check "parameters of another instance are not ours" [ "$output" = "unix://$(echo "$state"/node-*/engine.sock)" ]
MAX_SHIM_VERSION=2 run default one start
check "1.7 and 2.0 say version 2 and get the bare address" [ "$output" = "unix://$(echo "$state"/node-*/engine.sock)" ]
MAX_SHIM_VERSION=3 run default one start
check "who says version 3 is answered in JSON" contains "$output" '"version":3,'

fresh
printf 'isolation = "sandbox"\n' >>"$RUND_CONFIG"
run default gone start
kill "$(engine_pid)"
rm "${output#unix://}"
run default killed start
kill -9 "$(engine_pid)"
run default alive start
run default another start
check "what an engine of one sandbox left is swept up, of a killed one it is kept" \
    [ "$(find "$state" -name engine.lock | wc -l) $(find "$state" -name engine.sock | wc -l)" = "3 3" ]

fresh
RUND_FAKE=refuse
run default one start
check "the engine's reason reaches the user" \
    [ "$status $errors" = "1 containerd-shim-rund-v2: the engine cannot start: no /dev/kvm here" ]
check "no address is left by a failed start" [ ! -e "$bundle/address" ]
RUND_FAKE=die
run default one start
check "the last words of a dying engine reach the user" contains "$errors" "java.lang.Error: last words"
check "with its status" contains "$errors" "(status 3)"
RUND_FAKE=crash
run default one start
check "a crashed engine is told from one that exits" contains "$errors" "(signal 9)"
RUND_FAKE=report
run default one start
check "of a JVM's report of its own death the beginning is shown" contains "$errors" "Problematic frame"
mv "$work/rund/libexec/rund-engine" "$work/engine"
run default one start
check "an incomplete installation is named" contains "$errors" "cannot execute $work/rund/libexec/rund-engine"
mv "$work/engine" "$work/rund/libexec/rund-engine"

fresh
RUND_FAKE=serve
run default one start
socket=${output#unix://}
kill -9 "$(engine_pid)"
rm "$socket"
: >"$socket"
run default one start
check "a file in the socket's place is named" contains "$errors" "$socket is not a socket: remove it"
rm "$socket"
RUND_FAKE=babble "$programs/fake-engine" --socket "$socket" 3>/dev/null &
impostor=$!
while [ ! -S "$socket" ]; do sleep 0.05; done
# It hangs up as soon as it has spoken: now before the launcher sends anything, now after.
for _ in {1..30}; do
    run default one start
    case $errors in *"$socket is served by process $impostor"*) ;; *) break ;; esac
done
check "a server of something else is named" contains "$errors" "$socket is served by process $impostor"
kill "$impostor"
wait "$impostor" 2>/dev/null

fresh
printf 'state_dir = "relative"\n' >"$RUND_CONFIG"
run default one start
check "a relative state_dir is refused" contains "$errors" "must be an absolute path"
rm "$RUND_CONFIG"
run default one start
check "a missing configuration is named" contains "$errors" "$RUND_CONFIG: No such file"
fresh
run default one serve
check "an unknown action is refused" [ "$status" = 1 ]
run "" one start
check "a missing namespace is refused" contains "$errors" "-namespace and -id must be given"
check "-v tells the version" contains "$("$work/containerd-shim-rund-v2" -v)" "Version:"
check "-info tells the runtime's name" contains "$("$work/containerd-shim-rund-v2" -info | tr -d '\0')" io.containerd.rund.v2
check "and its features" contains "$("$work/containerd-shim-rund-v2" -info <"$work/options" | tr -d '\0')" '"rro"'

wait $patient_launcher
check "a server that does not answer is named" contains "$(cat "$patient/errors")" "process $mute, which does not answer"

echo "1..$number"
[ $failures = 0 ]
