package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.rund.e2e.cri.wire.ContainerConfig;
import io.rund.e2e.cri.wire.LinuxContainerResources;
import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The host's scheduler holds a sandbox to its CPU quota, whatever runs in it. */
@E2e
@Tag("cgroup")
class HostCpuTest {
  /**
   * Shell: used NAME THREAD says how much of one of the host's CPUs, in thousandths, the vCPU of a
   * sandbox took while something in it was busy. The host's kernel is asked for its threads' times,
   * in hundredths of a second; their names have room for 15 letters, so ids have to be short.
   * THREAD is a pattern.
   */
  private static final String FUNCTIONS =
      """
      ticks() {
        local task name stat sum=0
        for task in /proc/"$(engines | head -n 1)"/task/*; do
          { read -r name <"$task/comm" && read -ra stat <"$task/stat"; } 2>/dev/null || continue
          [[ $name != $1 ]] || sum=$((sum + stat[13] + stat[14]))
        done
        echo $sum
      }
      used() {
        local began before after ended
        sleep 1 # what there is to do at a start is done
        before=$(ticks "$2"); began=${EPOCHREALTIME//[!0-9]/}
        sleep 6
        after=$(ticks "$2"); ended=${EPOCHREALTIME//[!0-9]/}
        say "$1" $(((after - before) * 10000 * 1000 / (ended - began)))
      }
      busy='while :; do :; done'
      """;

  @Test
  void aQuotaIsKeptByTheHost() {
    Result result =
        Lab.script(
            Duration.ofMinutes(5),
            FUNCTIONS
                + """
                launch $image "$1" sh -c "$busy" || exit
                used free "vcpu0-e2e:$1"
                discard "$1"

                launch --cpus 0.5 $image "$2" sh -c "$busy" || exit
                used half "vcpu0-e2e:$2"
                discard "$2"

                # A pod of half a CPU, whose container the guest gives a whole one: 40 % and what rund adds for the guest.
                # With a container without a limit in it, the pod has none.
                cri=io.kubernetes.cri
                launch --annotation $cri.container-type=sandbox --annotation $cri.sandbox-cpu-quota=40000 \
                  --annotation $cri.sandbox-cpu-period=100000 $image "$3" /pause || exit
                launch --annotation $cri.container-type=container --annotation $cri.sandbox-id="$3" \
                  --cpus 1 $image "$3-a" sh -c "$busy" || exit
                used pod "vcpu0-e2e:$3"
                launch --annotation $cri.container-type=container --annotation $cri.sandbox-id="$3" \
                  $image "$3-b" sh -c "$busy" || exit
                used lifted "vcpu0-e2e:$3"
                discard "$3-a" "$3-b" "$3"
                """,
            Lab.id("c"),
            Lab.id("c"),
            Lab.id("c"));
    long free = result.number("free");
    assertTrue(free > 500, () -> "nearly a CPU where nothing holds it: " + result);
    assertHalf(free, result.number("half"), result);
    assertHalf(free, result.number("pod"), result);
    assertTrue(result.number("lifted") > result.number("pod") * 5 / 4, result::toString);
  }

  @Test
  void aQuotaThatIsChangedIsKeptByTheHost() {
    LabExtension.prepareCri();
    try (CriPod pod =
        new CriPod("rund", config -> config.getLinuxBuilder().setResources(quota(100_000)))) {
      ContainerConfig.Builder busy = CriPod.shell("while :; do :; done");
      busy.getLinuxBuilder().setResources(quota(100_000));
      String container = pod.run("busy", 0, busy);
      long whole = usedByPod();
      pod.client().update(container, quota(25_000));
      long held = usedByPod();
      long percent = held * 100 / whole;
      assertTrue(
          percent > 10 && percent < 70, () -> "%d, then %d thousandths".formatted(whole, held));
    }
  }

  private static LinuxContainerResources quota(long micros) {
    return LinuxContainerResources.newBuilder().setCpuPeriod(100_000).setCpuQuota(micros).build();
  }

  /** Of the one pod that there is. */
  private static long usedByPod() {
    return Lab.script(Duration.ofMinutes(5), FUNCTIONS + "used pod 'vcpu0-k8s.io*'").number("pod");
  }

  /** As a ratio, since an emulated machine may be busy itself. */
  private static void assertHalf(long free, long held, Result result) {
    long percent = held * 100 / free;
    assertTrue(percent > 25 && percent < 80, () -> percent + " % of what is free: " + result);
  }
}
