package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Hundreds of operations with what POSIX and the manual say that they answer ({@code
 * fs/table/rows-*.c}), by one program under runc, on the file systems of the host, and under rund:
 * in the root file system, in a folder of an ext4 that is bound, and in one that is bound
 * read-only. The host answers as expected, and the guest as the host does, but for {@link
 * FileSystemDifference}.
 */
@Soak
class PosixTableTest {
  @BeforeAll
  static void image() {
    FilesImage.prepare();
  }

  @Test
  void theGuestIsAnsweredAsTheHostIs() {
    Result result =
        Lab.script(
            Duration.ofMinutes(30),
            """
            disk_folder $work/ext4 512M || exit
            mkdir $work/ext4/writable $work/ext4/prepared
            "$2/posix-table" prepare $work/ext4/prepared || exit
            table() {
              overlaid --cap-add CAP_SYS_ADMIN \
                --mount type=bind,src=$work/ext4/writable,dst=/bound,options=rbind:rw \
                --mount type=bind,src=$work/ext4/prepared,dst=/prepared,options=rbind:ro \
                $files_image "$1" sh -c '
                  mkdir /here
                  posix-table /here >/dev/shm/root & posix-table /bound /prepared >/dev/shm/bound
                  wait
                  sed s/^/root-/ /dev/shm/root
                  sed s/^/bound-/ /dev/shm/bound'
            }
            runtime=io.containerd.runc.v2
            table "$1-runc" >$work/host
            runtime=io.containerd.rund.v2
            table "$1" >$work/guest
            sed 's/^/host:/' $work/host
            sed 's/^/guest:/' $work/guest
            """,
            Lab.id("table"),
            FilesImage.PROGRAMS.toString());
    Map<String, String> host = answers(result, "host:");
    Map<String, String> guest = answers(result, "guest:");
    assertTrue(host.size() > 1400, () -> "most rows are missing on the host: " + result);
    List<String> unexpected = new ArrayList<>();
    host.forEach(
        (row, answer) -> {
          if (answer.startsWith("expected")) {
            unexpected.add("%s: the host's own file system: %s".formatted(row, answer));
          }
        });
    TreeSet<String> rows = new TreeSet<>(host.keySet());
    rows.addAll(guest.keySet());
    for (String row : rows) {
      String there = host.getOrDefault(row, "(absent)");
      String here = guest.getOrDefault(row, "(absent)");
      if (!there.equals(here) && !FileSystemDifference.covers(row, there, here)) {
        unexpected.add("%s: host: %s, guest: %s".formatted(row, there, here));
      }
    }
    assertTrue(
        unexpected.isEmpty(),
        () ->
            "%d differences:%n  %s%n%s"
                .formatted(unexpected.size(), String.join("\n  ", unexpected), result.err()));
  }

  /** By row. The counts at the end are none. */
  private static Map<String, String> answers(Result result, String prefix) {
    Map<String, String> answers = new TreeMap<>();
    for (String line : result.out().lines().filter(l -> l.startsWith(prefix)).toList()) {
      String[] parts = line.substring(prefix.length()).split(" ", 2);
      if (parts[0].contains("/") && parts.length == 2) {
        answers.put(parts[0], parts[1]);
      }
    }
    return answers;
  }
}
