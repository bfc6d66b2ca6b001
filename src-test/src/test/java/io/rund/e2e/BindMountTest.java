package io.rund.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.time.Duration;
import org.junit.jupiter.api.Test;

/** Directories, files and disks of the host in a container. */
@E2e
class BindMountTest {
  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  /** Shell: bind SOURCE DESTINATION OPTIONS is a flag of ctr. */
  private static final String BIND =
      """
      bind() { echo "--mount type=bind,src=$1,dst=$2,options=$3"; }
      mkdir $work/data
      """;

  private static Result script(String script, String id) {
    return Lab.script(TIMEOUT, BIND + script, Lab.id(id));
  }

  @Test
  void whatOneSideWritesTheOtherReadsWithOwnerAndMode() {
    script(
            """
            echo from the host >$work/data/file; chown 4321:765 $work/data/file; chmod 604 $work/data/file
            echo one line >$work/one
            sandbox $(bind $work/data /data rbind:rw) $(bind $work/one /etc/one bind:rw) $image "$1" sh -c '
              echo "content=$(cat /data/file)"; echo "owner=$(stat -c %u:%g:%a /data/file)"
              echo "same_device=$(($(stat -c %d /data) == $(stat -c %d /)))"
              cat /etc/one; echo another >>/etc/one
              echo from the guest >/data/new; chown 1234:567 /data/new; chmod 4750 /data/new
              umask 027; mkdir /data/folder; ln -s new /data/link; ln /data/new /data/hard'
            say host_content "$(cat $work/data/link)"
            say host_owner "$(stat -c %u:%g:%a:%h $work/data/new)"
            say host_folder "$(stat -c %a $work/data/folder)"
            say host_one "$(tr '\\n' ' ' <$work/one)"
            """,
            "bind")
        .expect("content", "from the host")
        .expect("owner", "4321:765:604")
        .expect("same_device", "0")
        .expect("host_content", "from the guest")
        .expect("host_owner", "1234:567:4750:2")
        .expect("host_folder", "750")
        .expect("host_one", "one line another");
  }

  /** A service that systemd starts has no locale. */
  @Test
  void aNameBeyondAsciiIsAPathWhateverTheLocale() {
    script(
            """
            variant
            sed -i 's/^RUND_CONFIG/LANG= LC_ALL= RUND_CONFIG/' $runtime
            folder=$work/gr$(printf '\\303\\266\\303\\237')e; mkdir $folder; echo found >$folder/file
            sandbox $(bind $folder /data rbind:ro) $image "$1" sh -c 'echo "content=$(cat /data/file)"'
            variant_end
            """,
            "utf8")
        .expect("content", "found")
        .expect("engine_left", "0");
  }

  @Test
  void readOnlyIsTheHostsWordAndNoexecTheGuests() {
    script(
            """
            printf '#!/bin/sh\\necho ran\\n' >$work/data/program; chmod 755 $work/data/program
            sandbox --cap-add CAP_SYS_ADMIN $(bind $work/data /ro rbind:ro) \
              $(bind $work/data /noexec rbind:rw:noexec) $image "$1" sh -c '
              echo "read_only=$( (echo x >/ro/file) 2>&1)"
              echo "remounted=$(mount -o remount,rw,bind /ro; echo $?)"
              echo "still=$( (echo x >/ro/file) 2>&1) $(rm /ro/program 2>&1) $(chmod 777 /ro/program 2>&1)"
              echo "runs=$(/ro/program)"
              echo "noexec=$(/noexec/program 2>&1)"'
            say left "$(ls $work/data)"
            """,
            "readonly")
        .expectWords("read_only", "Read-only file system")
        .expect("remounted", "0")
        .expectWords("still", "/ro/file: Read-only", "/ro/program': Read-only")
        .expect("runs", "ran")
        .expectWords("noexec", "Permission denied")
        .expect("left", "program");
  }

  @Test
  void whatIsMountedBelowIsSeenIfTheOptionsSaySo() {
    Result result =
        script(
            """
            mkdir $work/data/below $work/data/later
            mount -t tmpfs tmpfs $work/data/below; echo mounted >$work/data/below/file
            launch $(bind $work/data /r rbind:rprivate) $(bind $work/data /b bind) \
              $(bind $work/data /s rbind:rslave) $image "$1" probe sleep
            mount -t tmpfs tmpfs $work/data/later; echo later >$work/data/later/file
            ctr task exec --exec-id x "$1" sh -c '
              for which in r b s; do
                echo "below_$which=$(cat /$which/below/file 2>&1)"; echo "later_$which=$(cat /$which/later/file 2>&1)"
              done
              echo "device=$(stat -c %d /r)"; echo "device_below=$(stat -c %d /r/below)"'
            discard "$1"
            umount $work/data/below $work/data/later
            """,
            "nested");
    result
        .expect("below_r", "mounted")
        .expectWords("below_b", "No such file")
        .expect("below_s", "mounted")
        .expectWords("later_r", "No such file")
        .expectWords("later_b", "No such file")
        .expect("later_s", "later");
    assertNotEquals(result.value("device"), result.value("device_below"));
  }

  @Test
  void aConfigMapThatIsSwappedIsSeenByARunningContainer() {
    script(
            """
            mkdir $work/data/..1 $work/data/..2
            echo old >$work/data/..1/key; echo new >$work/data/..2/key
            ln -s ..1 $work/data/..data; ln -s ..data/key $work/data/key
            launch $(bind $work/data /config rbind:ro:rprivate) $image "$1" probe sleep
            say before "$(ctr task exec --exec-id a "$1" cat /config/key)"
            ln -s ..2 $work/data/..tmp; mv -T $work/data/..tmp $work/data/..data; rm -r $work/data/..1
            say after "$(ctr task exec --exec-id b "$1" sh -c 'sleep 1.5; cat /config/key')"
            discard "$1"
            """,
            "config")
        .expect("before", "old")
        .expect("after", "new");
  }

  @Test
  void thePodsSharedMemoryIsATmpfsOfTheSandbox() {
    script(
            """
            mount -t tmpfs -o size=1m shm $work/data
            sandbox $(bind $work/data /dev/shm rbind:rw) $image "$1" sh -c '
              echo "size=$(df -k /dev/shm | awk "END { print \\$2 }")"; echo x >/dev/shm/file'
            say on_host "$(ls $work/data)"
            umount $work/data
            """,
            "shm")
        .expect("size", "1024")
        .expect("on_host", "");
  }

  @Test
  void aBlockDeviceIsADiskWithItsNameModeAndOwner() {
    Result result =
        script(
            """
            truncate -s 8M $work/disk $work/fixed
            disk=$(losetup --find --show $work/disk); fixed=$(losetup --read-only --find --show $work/fixed)
            chmod 640 $disk; chown 12:34 $disk
            sandbox --device $disk --device $fixed $image "$1" sh -c '
              echo "node=$(stat -c %F:%a:%u:%g '$disk')"
              "$0" emit 8388608 7 | dd of='$disk' bs=1M conv=fsync 2>/dev/null
              echo "inside=$("$0" hash <'$disk')"
              echo "fixed=$(dd if=/dev/zero of='$fixed' bs=4k count=1 conv=fsync 2>&1 | tr "\\n" " ")"' /test/probe
            say outside "$("$PROBE" hash <$disk)"
            losetup -d $disk $fixed
            """,
            "device");
    result.expect("node", "block special file:640:12:34").expectWords("fixed", "not permitted");
    assertEquals(result.value("inside"), result.value("outside"));
  }

  @Test
  void whatAVmCannotGiveIsRefusedWithTheReason() {
    script(
            """
            mkfifo $work/fifo
            "$PROBE" squat $work/socket & until [ -S $work/socket ]; do sleep 0.1; done
            truncate -s 1M $work/disk; disk=$(losetup --find --show $work/disk)
            try() { attempt $1 sandbox $(bind $2 /x $3) $image "$4-$1" true; }
            try missing /no/such/folder rbind "$1"
            try socket $work/socket bind "$1"
            try fifo $work/fifo bind "$1"
            try proc /proc rbind:ro "$1"
            try shm /dev/shm rbind "$1"
            try shared $work/data rbind:rshared "$1"
            try device $disk bind "$1"
            losetup -d $disk
            kill %1
            """,
            "refused")
        .expect("missing_status", "1")
        .expectWords("missing", "bind mount of /no/such/folder at /x", "No such file or directory")
        .expectWords("socket", "it is a socket", "kernel of its own")
        .expectWords("fifo", "it is a FIFO")
        .expectWords("proc", "host's kernel (/proc)")
        .expectWords("shm", "host's shared memory")
        .expectWords("shared", "rshared", "use \"rslave\"")
        .expectWords("device", "--device /dev/loop");
  }
}
