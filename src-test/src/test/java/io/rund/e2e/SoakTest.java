package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * What shows only after a long time, or among many. How long and how many, the environment says:
 * RUND_SOAK_CYCLES, RUND_SOAK_CLONES, RUND_SOAK_SANDBOXES, RUND_SOAK_FSX_SECONDS, RUND_SOAK_FILES.
 */
@Soak
class SoakTest {
  /** What a heap that is still growing to its size, and a log line or two, may take. */
  static final long MOST_GROWTH_KIB = 48 * 1024;

  /** The same of an engine that has nothing to do: compiled code, and what C's allocator keeps. */
  private static final long MOST_QUIET_GROWTH_KIB = 8 * 1024;

  @BeforeAll
  static void image() {
    FilesImage.prepare();
  }

  static int parameter(String name, int otherwise) {
    String value = System.getenv(name);
    return value == null ? otherwise : Integer.parseInt(value);
  }

  @Test
  void manyStartsWithAnOverlayAndTwoBoundFoldersLeaveTheHostAndTheEngineAsTheyWere() {
    int cycles = parameter("RUND_SOAK_CYCLES", 1000);
    // What the engine takes once, it takes in the first tenth.
    cycles("soak-first", Math.max(cycles / 10, 3));
    HostState before = HostState.take();
    Result result = cycles("soak", cycles);
    assertFlat(result);
    HostState.assertNothingLeft(before);
  }

  /** Two at a time, since two clones of one template at one moment are as alike as can be. */
  @Test
  void noTwoOfVeryManyClonesAreAlikeAndTheEngineStaysAsItWas() {
    int clones = parameter("RUND_SOAK_CLONES", 2000);
    HostState before = HostState.take();
    Result result =
        Lab.script(
            Duration.ofMinutes(10).plusSeconds(30L * clones),
            """
            one() {
              sandbox $image "$1" sh -c 'head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/boot_id' >$work/$1 2>&1 ||
                say failed "$1: $(cat $work/$1)"
            }
            for i in $(seq "$2"); do
              one "$1-$i" &
              [ $((i % 2)) = 1 ] || wait
              if [ $((i % (($2 + 9) / 10))) = 0 ]; then wait; say memory "$(engine_memory)"; fi
              [ $i != $((($2 + 9) / 10)) ] || say quiet "$(quiet_engine_memory)"
            done
            wait
            say quiet "$(quiet_engine_memory)"
            awk 'FNR == 1 { gsub(" ", ""); print "random=" $0 } FNR == 2 { print "boot=" $0 }' $work/$1-[0-9]*
            """,
            Lab.id("pairs"),
            Integer.toString(clones));
    assertEquals(List.of(), result.values("failed"), result::toString);
    for (String drawn : List.of("random", "boot")) {
      List<String> values = result.values(drawn);
      assertEquals(clones, values.size(), drawn);
      assertEquals(
          clones, values.stream().filter(value -> value.length() >= 32).distinct().count());
    }
    assertFlat(result);
    HostState.assertNothingLeft(before);
  }

  private static void assertFlat(Result result) {
    assertFlat("every tenth of them", result.values("memory"), MOST_GROWTH_KIB);
    assertFlat("quiet, after a tenth and all", result.values("quiet"), MOST_QUIET_GROWTH_KIB);
  }

  private static void assertFlat(String when, List<String> values, long mostGrowth) {
    List<Long> memory = values.stream().map(Long::parseLong).toList();
    System.err.printf("engine memory in KiB, %s: %s%n", when, memory);
    assertTrue(memory.getLast() <= memory.getFirst() + mostGrowth, memory::toString);
  }

  /** All at once, which the engine has to put in order; a lab of 6 GiB has room for 40. */
  @Test
  void manyRunTogetherEachAnswersAndOthersComeAndGoMeanwhile() {
    int many = parameter("RUND_SOAK_SANDBOXES", 40);
    HostState before = HostState.take();
    Result result =
        Lab.script(
            Duration.ofMinutes(10).plusSeconds(30L * many),
            """
            for i in $(seq "$2"); do launch $image "$1-$i" probe sleep >/dev/null 2>$work/$i & pids[i]=$!; done
            for i in $(seq "$2"); do wait ${pids[i]} || say failed "$i: $(cat $work/$i)"; done
            say running "$(ctr task ls | grep -c RUNNING)"
            for i in $(seq "$2"); do
              [ "$(ctr task exec --exec-id e "$1-$i" probe exit 0 && echo ok)" = ok ] || say silent $i
            done
            for i in 1 2 3 4 5; do sandbox $image "$1-more-$i" probe exit 3; say status $?; done
            for i in $(seq "$2"); do discard "$1-$i"; done
            """,
            Lab.id("together"),
            Integer.toString(many));
    result.expect("running", Integer.toString(many));
    assertEquals(List.of(), result.values("failed"), result::toString);
    assertEquals(List.of(), result.values("silent"), result::toString);
    assertEquals(List.of("3", "3", "3", "3", "3"), result.values("status"), result::toString);
    HostState.assertNothingLeft(before);
  }

  private static Result cycles(String id, int count) {
    Result result =
        Lab.script(
            Duration.ofMinutes(10).plusSeconds(60L * count),
            """
            mkdir $work/one $work/two
            echo same >$work/one/file
            say memory "$(engine_memory)"
            for i in $(seq "$2"); do
              got=$(overlaid --mount type=bind,src=$work/one,dst=/one,options=rbind:ro --mount type=bind,src=$work/two,dst=/two,options=rbind:rw \
                $files_image "$1-$i" sh -c "cat /one/file && echo $i >/two/file" 2>&1)
              [ "$got" = same ] && [ "$(cat $work/two/file)" = $i ] || say failed "$i: $got"
              [ $((i % (($2 + 9) / 10))) != 0 ] || say memory "$(engine_memory)"
              [ $i != $((($2 + 9) / 10)) ] || say quiet "$(quiet_engine_memory)"
            done
            say quiet "$(quiet_engine_memory)"
            """,
            id,
            Integer.toString(count));
    assertEquals(List.of(), result.values("failed"), result::toString);
    return result;
  }

  @Test
  void filesAreWhatTheirModelsAreForALongTime() {
    Result result = RandomFileOperationsTest.run(parameter("RUND_SOAK_FSX_SECONDS", 600), 2, 1);
    assertEquals(0, result.exit(), result::toString);
    System.err.println(result.out());
  }

  @Test
  void tarPacksAndUnpacksVeryManySmallFiles() {
    RealProgramsTest.tar(parameter("RUND_SOAK_FILES", 100_000));
  }

  @Test
  void dpkgUnpacksFiftyPackages() {
    RealProgramsTest.dpkg(50);
  }

  @Test
  void gitWorksOnManyFiles() {
    RealProgramsTest.git(500);
  }

  @Test
  void sqliteWritesMuch() {
    RealProgramsTest.sqlite(100);
  }

  @Test
  void redisKeepsManyKeys() {
    RealProgramsTest.redis(5000);
  }
}
