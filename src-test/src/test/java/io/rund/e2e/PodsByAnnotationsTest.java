package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Pods as containerd's CRI plugin annotates them, made without it. */
@E2e
@Tag("containerd")
class PodsByAnnotationsTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(8);

  /**
   * Shell: pod ID makes a pod's sandbox and remembers its pid; member POD ID [FLAG...] -- COMMAND
   * runs a container in it; inside ID COMMAND runs a command in a container; events and status_of
   * ID tell how a container ended that has been deleted.
   */
  private static final String PODS =
      """
      pid_of() { ctr task ls | awk -v id="$1" '$1 == id { print $2 }'; }
      pod() {
        launch --annotation io.kubernetes.cri.container-type=sandbox \
          --annotation io.kubernetes.cri.sandbox-id="$1" $image "$1" /pause || exit
        pod_pid=$(pid_of "$1")
      }
      member() {
        local flags=(--annotation io.kubernetes.cri.container-type=container --annotation io.kubernetes.cri.sandbox-id="$1")
        local id=$2 type
        for type in network ipc uts; do
          flags+=(--with-ns "$type:/proc/$pod_pid/ns/${type/network/net}")
        done
        shift 2
        while [ "$1" != -- ]; do flags+=("$1"); shift; done
        shift
        launch "${flags[@]}" $image "$id" "$@" || exit
      }
      inside() { local id=$1; shift; ctr task exec --exec-id "x$RANDOM" "$id" "$@"; }
      stopped() { task_is "$1" STOPPED; }
      events() { ctr events >$work/events & events=$!; sleep 2; }
      status_of() {
        until_true 60 grep -q "/tasks/delete.*\"$1\"" $work/events
        grep "/tasks/exit.*\"$1\"" $work/events | grep -o '"exit_status":[0-9]*' | cut -d: -f2
      }
      """;

  private static Result script(String script, String id) {
    return Lab.script(TIMEOUT, PODS + script, Lab.id(id));
  }

  @Test
  void allContainersOfAPodShareAKernelAHostNameIpcAndSharedMemory() {
    Result result =
        script(
            """
            mkdir $work/shm; mount -t tmpfs -o size=1m shm $work/shm
            shm="type=bind,src=$work/shm,dst=/dev/shm,options=rbind:rw"
            pod "$1"
            member "$1" "$1-a" --mount $shm -- probe sleep
            member "$1" "$1-b" --mount $shm -- probe sleep
            inside "$1-a" sh -c 'echo shared >/dev/shm/file; touch /dev/mqueue/queue; hostname renamed
              echo "boot_a=$(cat /proc/sys/kernel/random/boot_id)"; echo "size=$(df -k /dev/shm | awk "END { print \\$2 }")"
              echo "pids_a=$(readlink /proc/self/ns/pid)"; echo "network_a=$(readlink /proc/self/ns/net)"'
            inside "$1-b" sh -c 'echo "shm=$(cat /dev/shm/file)"; echo "queues=$(ls /dev/mqueue)"
              echo "hostname=$(hostname)"; echo "boot_b=$(cat /proc/sys/kernel/random/boot_id)"
              echo "pids_b=$(readlink /proc/self/ns/pid)"; echo "network_b=$(readlink /proc/self/ns/net)"
              echo "first=$(tr "\\0" " " </proc/1/cmdline)"'
            say boot_host "$(cat /proc/sys/kernel/random/boot_id)"
            say on_host "$(ls $work/shm)"
            say anchors "$(ctr task ls | awk -v id="$1" 'index($1, id) == 1 { print $2 }' | sort -u | wc -l)"
            discard "$1-a" "$1-b" "$1"
            umount $work/shm
            """,
            "pod");
    result
        .expect("shm", "shared")
        .expect("size", "1024")
        .expect("on_host", "")
        .expect("queues", "queue")
        .expect("anchors", "3")
        .expectWords("first", "sleep");
    assertNotEquals("", result.value("hostname"));
    assertEquals(result.value("boot_a"), result.value("boot_b"), result::toString);
    assertNotEquals(result.value("boot_a"), result.value("boot_host"), result::toString);
    assertEquals(result.value("network_a"), result.value("network_b"), result::toString);
    assertNotEquals(result.value("pids_a"), result.value("pids_b"), result::toString);
  }

  /**
   * As an emptyDir of two containers is: the kernel finds a socket by its inode, and a lock too.
   */
  @Test
  void aVolumeOfTwoContainersIsOneFileSystem() {
    Result result =
        script(
            """
            mkdir $work/volume; chmod 777 $work/volume
            volume="type=bind,src=$work/volume,dst=/v,options=rbind:rw"
            pod "$1"
            member "$1" "$1-a" --mount $volume -- probe squat /v/socket
            member "$1" "$1-b" --mount $volume -- probe sleep
            answered() { inside "$1" probe relay unix /v/socket </dev/null | grep -q '^HTTP/1.1 400'; }
            until_true 60 answered "$1-b"; say answered $?
            for i in a b; do inside "$1-$i" sh -c 'echo "same=$(stat -c %d:%i /v/socket)"'; done
            discard "$1-b"
            member "$1" "$1-b" --mount ${volume%rw}ro -- probe sleep
            answered "$1-b"; say reader_answered $?
            inside "$1-b" sh -c 'touch /v/new 2>/dev/null; echo "written=$?"; echo "same=$(stat -c %d:%i /v/socket)"'
            discard "$1-a"
            inside "$1-b" sh -c 'echo "left=$(ls /v)"'
            discard "$1-b" "$1"
            """,
            "volume");
    result.expect("answered", "0").expect("reader_answered", "0").expect("written", "1");
    assertEquals(3, result.values("same").size(), result::toString);
    assertEquals(1, Set.copyOf(result.values("same")).size(), result::toString);
    result.expect("left", "socket");
  }

  @Test
  void aContainerEndsAndComesAgainInAPodThatLives() {
    Result result =
        script(
            """
            events
            pod "$1"
            member "$1" "$1-b" -- probe sleep
            say before "$(inside "$1-b" cat /proc/sys/kernel/random/boot_id)"
            for round in 1 2; do
              member "$1" "$1-a" -- sh -c "exit $round"
              until_true 60 stopped "$1-a"; ctr task rm "$1-a"; ctr container rm "$1-a"
            done
            say rounds "$(status_of "$1-a" | tr '\\n' ' ')"
            member "$1" "$1-a" -- probe sleep
            kill -9 "$(pid_of "$1-a")"
            until_true 60 stopped "$1-a"; say killed $?
            say after "$(inside "$1-b" cat /proc/sys/kernel/random/boot_id)"
            discard "$1-a"
            say shares "$(inside "$1-b" sh -c 'grep -c virtiofs /proc/mounts')"
            discard "$1-b" "$1"
            kill $events
            """,
            "restart");
    result.expect("rounds", "1 2").expect("killed", "0").expect("shares", "1");
    assertEquals(result.value("before"), result.value("after"), result::toString);
  }

  @Test
  void aSharedPidNamespaceShowsTheProcessesOfAll() {
    Result result =
        script(
            """
            pod "$1"
            member "$1" "$1-a" --with-ns pid:/proc/$pod_pid/ns/pid -- sh -c 'echo here; exec sleep 4321'
            member "$1" "$1-b" --with-ns pid:/proc/$pod_pid/ns/pid -- probe sleep
            member "$1" "$1-own" -- sleep 8765
            a=$(pid_of "$1-own")
            member "$1" "$1-debug" --with-ns pid:/proc/$a/ns/pid -- probe sleep
            say seen "$(inside "$1-b" ps -o pid,args | grep -c '[s]leep 4321')"
            say own_seen "$(inside "$1-b" ps -o pid,args | grep -c '[s]leep 8765')"
            say init "$(inside "$1-b" cat /proc/1/comm)"
            say debugged "$(inside "$1-debug" ps -o pid,args | awk '$1 == 1 { print $2, $3 }')"
            ctr task kill -s KILL "$1-a"; until_true 60 stopped "$1-a"; say ended $?
            say left "$(inside "$1-b" ps -o pid,args | grep -c '[s]leep 4321')"
            discard "$1-debug" "$1-own" "$1-a" "$1-b" "$1"
            """,
            "pids");
    result
        .expect("seen", "1")
        .expect("own_seen", "0")
        .expect("init", "pause")
        .expect("debugged", "sleep 8765")
        .expect("ended", "0")
        .expect("left", "0");
  }

  @Test
  void theSandboxIsAProcessThatIsOnlyRemembered() {
    script(
            """
            events
            pod "$1"
            member "$1" "$1-a" -- probe sleep
            attempt exec inside "$1" true
            attempt metrics ctr task metrics "$1"
            ctr task kill -s TERM "$1"; until_true 60 stopped "$1"; say stopped $?
            task_is "$1-a" RUNNING; say goes_on $?
            ctr task rm "$1"; say status "$(status_of "$1")"
            until_true 60 stopped "$1-a"; say member_stopped $?
            ctr task rm "$1-a"; say member_status "$(status_of "$1-a")"
            ctr container rm "$1-a" "$1"
            kill $events
            """,
            "pause")
        .expect("exec_status", "1")
        .expectWords("exec", "sandbox of a pod")
        .expect("metrics_status", "0")
        .expect("stopped", "0")
        .expect("goes_on", "0")
        .expect("status", "143")
        .expect("member_stopped", "0")
        .expect("member_status", "137");
  }

  @Test
  void annotationsSizeThePodsVm() {
    script(
            """
            variant 'annotations = ["io.rund.memory", "io.rund.vcpus"]' 'clone = false'
            pod_flags="--annotation io.kubernetes.cri.container-type=sandbox"
            launch $pod_flags --annotation io.kubernetes.cri.sandbox-memory=$((100 << 20)) \
              --annotation io.kubernetes.cri.sandbox-cpu-quota=150000 \
              --annotation io.kubernetes.cri.sandbox-cpu-period=100000 $image "$1" /pause || exit
            pod_pid=$(pid_of "$1")
            member "$1" "$1-a" --memory-limit $((50 << 20)) -- probe sleep
            inside "$1-a" sh -c 'echo "cpus=$(nproc)"; echo "memory=$(awk "/^MemTotal/ { print int(\\$2 / 1024 / 100) }" /proc/meminfo)"'
            say limit "$(ctr task metrics "$1-a" | awk '$1 == "memory.usage_limit" { print $2 }')"
            discard "$1-a" "$1"
            sandbox --annotation io.rund.memory=384MiB $image "$1-b" \
              awk '/^MemTotal/ { print "override=" int($2 / 1024 / 100) }' /proc/meminfo
            variant_end
            runtime=io.containerd.rund.v2
            attempt refused sandbox --annotation io.rund.vcpus=2 $image "$1-c" true
            """,
            "size")
        .expect("cpus", "2")
        .expect("memory", "1")
        .expect("limit", "" + (50 << 20))
        .expect("override", "3")
        .expect("engine_left", "0")
        .expect("refused_status", "1")
        .expectWords("refused", "io.rund.vcpus", "this node allows none");
  }

  @Test
  void wantOfMemoryIsAnEventBeforeTheExit() {
    script(
            """
            events
            pod "$1"
            member "$1" "$1-a" --memory-limit $((32 << 20)) -- sh -c 'exec tail /dev/zero'
            until_true 120 stopped "$1-a"; say stopped $?
            ctr task rm "$1-a"; say status "$(status_of "$1-a")"
            kill $events
            say order "$(grep "$1-a" $work/events | grep -o '/tasks/[a-z]*' | tr '\\n' ' ')"
            ctr container rm "$1-a"; discard "$1"
            """,
            "oom")
        .expect("stopped", "0")
        .expect("status", "137")
        .expect("order", "/tasks/create /tasks/start /tasks/oom /tasks/exit /tasks/delete");
  }
}
