#define _GNU_SOURCE
#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "files.h"
#include "log.h"

static const struct {
    const char *type;
    const char *target;
    unsigned long flags;
    const char *data;
} mounts[] = {
    {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"devtmpfs", "/dev", MS_NOSUID, "mode=0755"},
    {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666"},
    {"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
    {"tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777"},
};

// The kernel gives init no standard streams where there is no console; descriptors 0 to 2 must not
// become something else.
static void hold_standard_streams(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd < 2);
    if (fd > 2) {
        close(fd);
    }
}

// pivot_root(2) refuses to leave the root of an initramfs, since it is mounted on nothing. A bind
// mount of it, moved over it, can be left.
static void make_root_a_mount(void) {
    if (mount("/", "/newroot", NULL, MS_BIND, NULL) != 0 || chdir("/newroot") != 0 ||
        mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0) {
        log_error("cannot make the initramfs a mount point: %s", strerror(errno));
    }
}

static void mount_all(void) {
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        mkdir(mounts[i].target, 0755);
        if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
                  mounts[i].data) != 0 &&
            errno != EBUSY) { // the kernel has mounted devtmpfs itself
            log_error("mounting %s: %s", mounts[i].target, strerror(errno));
        }
    }
}

// Every controller there is, for the containers' cgroups; all in one write, each write stops the
// world.
static void delegate_controllers(void) {
    char names[512];
    char enable[1024] = "";
    if (file_read("/sys/fs/cgroup/cgroup.controllers", names, sizeof names) < 0) {
        log_error("there are no cgroup controllers: %s", strerror(errno));
        return;
    }
    char *end = enable;
    char *rest = names;
    for (char *name; (name = strsep(&rest, " \n")) != NULL;) {
        if (name[0] != '\0') {
            end = stpcpy(stpcpy(stpcpy(end, "+"), name), " ");
        }
    }
    if (!file_write("/sys/fs/cgroup/cgroup.subtree_control", enable)) {
        log_error("enabling the cgroup controllers %s: %s", enable, strerror(errno));
    }
}

static int bpf(enum bpf_cmd command, union bpf_attr *attributes) {
    return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

// Allows the processes of a cgroup every device. Negative, with errno, if it cannot.
static int attach_device_program(int cgroup) {
    const struct bpf_insn allow[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                           .insns = (uintptr_t)allow,
                           .insn_cnt = sizeof allow / sizeof *allow,
                           .license = (uintptr_t) ""};
    int program = bpf(BPF_PROG_LOAD, &load);
    if (program < 0) {
        return -1;
    }
    union bpf_attr attach = {.target_fd = (uint32_t)cgroup,
                             .attach_bpf_fd = (uint32_t)program,
                             .attach_type = BPF_CGROUP_DEVICE};
    int status = bpf(BPF_PROG_ATTACH, &attach);
    close(program);
    return status;
}

// As long as only the root has controllers and nowhere is a device program, the kernel has their
// calls patched out of its code (static keys). A cgroup that stays keeps them in: no container pays
// for the patching, and the clones of a template share all pages of code.
static void keep_controllers_in_use(void) {
    static const char path[] = "/sys/fs/cgroup/.rund";
    mkdir(path, 0755);
    int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cgroup < 0 || attach_device_program(cgroup) < 0) {
        log_error("a cgroup that keeps the controllers in use: %s", strerror(errno));
    }
    if (cgroup >= 0) {
        close(cgroup);
    }
}

// Changing cgroups waits for grace periods of RCU, several ticks each: at boot, and for every
// process that a container gets. Expedited ones cost some interrupts, which a sandbox's few CPUs
// can afford.
static void hurry_rcu(void) {
    if (!file_write("/sys/kernel/rcu_expedited", "1")) {
        log_error("expediting RCU: %s", strerror(errno));
    }
}

// Compaction ahead of need would look twice a second whether there is any, and wake a sandbox in
// which nothing happens.
static void compact_on_demand(void) {
    if (!file_write("/proc/sys/vm/compaction_proactiveness", "0")) {
        log_error("stopping proactive compaction: %s", strerror(errno));
    }
}

// The free pages that a CPU may keep for itself, as a part of the memory, but at least four of the
// batches in which it takes them (zone_highsize in mm/page_alloc.c). What it has above that goes
// when pages are freed, with each of them less than this at most (nr_pcp_free).
static void limit_free_pages(const char *part) {
    if (!file_write("/proc/sys/vm/percpu_pagelist_high_fraction", part)) {
        log_error("limiting the free pages of a CPU: %s", strerror(errno));
    }
    size_t length = 64 * 4096;
    void *pages = mmap(NULL, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (pages != MAP_FAILED) {
        munmap(pages, length);
    }
}

// They are available to no program and are never given back to the host. In steps, since a small
// list lets go of little at a time.
static void keep_few_free_pages(void) {
    limit_free_pages("128");
    limit_free_pages("1024");
}

static unsigned long integer_root(unsigned long square) {
    unsigned long root = 0;
    for (unsigned long bit = 1UL << 31; bit != 0; bit >>= 1) {
        root += (root + bit) * (root + bit) <= square ? bit : 0;
    }
    return root;
}

// What the kernel keeps back for allocations that cannot wait, as it is without huge pages
// (calculate_min_free_kbytes in mm/page_alloc.c). For these it is a twentieth of the memory, so
// that whole pageblocks are free of other kinds of pages (set_recommended_min_free_kbytes in
// mm/khugepaged.c); programs stay above one and a half times that, 9 of 128 MiB.
static void reserve_little(void) {
    struct sysinfo memory;
    char text[32];
    unsigned long kib = sysinfo(&memory) == 0 ? memory.totalram / 1024 * memory.mem_unit : 0;
    snprintf(text, sizeof(text), "%lu", integer_root(kib * 16));
    if (!file_write("/proc/sys/vm/min_free_kbytes", text)) {
        log_error("reserving %s KiB of memory: %s", text, strerror(errno));
    }
}

static void loopback_up(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0) {
        log_error("cannot bring lo up: %s", strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

void boot(void) {
    umask(022);
    make_root_a_mount();
    mount_all();
    hold_standard_streams();
    log_open();
    hurry_rcu();
    compact_on_demand();
    keep_few_free_pages();
    reserve_little();
    delegate_controllers();
    keep_controllers_in_use();
    loopback_up();
    struct rlimit files = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    setrlimit(RLIMIT_NOFILE, &files);
}
