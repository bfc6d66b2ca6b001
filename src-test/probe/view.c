/* What a program sees of the place it runs in. Everything here is asked of the kernel, nothing of
 * the runtime. */
#define _GNU_SOURCE
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

#define MAX_LINES 4096
static char *lines[MAX_LINES];
static size_t line_count;

static void die(const char *what) {
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    exit(125);
}

/* Adds one `key=value` line; bytes that would break the line become '?'. */
static void add(const char *key, const char *format, ...) {
    char *value, *line;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&value, format, arguments) < 0)
        die("memory");
    va_end(arguments);
    if (asprintf(&line, "%s=%s", key, value) < 0)
        die("memory");
    free(value);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = '?';
    if (line_count == MAX_LINES)
        die("too many lines");
    lines[line_count++] = line;
}

static const char *name(const char *format, ...) {
    static char buffer[PATH_MAX + 64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    return buffer;
}

/* The first line of a file without its end, or NULL. */
static char *first_line(const char *path) {
    static char line[PATH_MAX];
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    bool got = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!got)
        return NULL;
    line[strcspn(line, "\n")] = 0;
    return line;
}

static void add_arguments(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        add(name("arg.%d", i), "%s", argv[i]);
    for (char **variable = environ; *variable; variable++) {
        char *equals = strchr(*variable, '=');
        if (equals)
            add(name("env.%.*s", (int)(equals - *variable), *variable), "%s", equals + 1);
    }
    char folder[PATH_MAX];
    add("cwd", "%s", getcwd(folder, sizeof folder) ? folder : strerror(errno));
}

/* Ids, capabilities, seccomp, umask and signal masks as the kernel shows them in proc(5) status. */
static void add_status(void) {
    static const char *wanted[] = {"Uid",        "Gid",     "Groups", "CapInh", "CapPrm",
                                   "CapEff",     "CapBnd",  "CapAmb", "SigBlk", "SigIgn",
                                   "NoNewPrivs", "Seccomp", "Umask",  "NSpid"};
    FILE *file = fopen("/proc/self/status", "re");
    char line[PATH_MAX];
    if (!file)
        die("/proc/self/status");
    while (fgets(line, sizeof line, file)) {
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
            size_t length = strlen(wanted[i]);
            if (strncmp(line, wanted[i], length) != 0 || line[length] != ':')
                continue;
            for (char *c = line; *c; c++)
                if (*c == '\t')
                    *c = ' ';
            char *value = line + length + 1 + strspn(line + length + 1, " ");
            size_t end = strlen(value);
            while (end > 0 && (value[end - 1] == '\n' || value[end - 1] == ' '))
                value[--end] = 0;
            add(name("status.%s", wanted[i]), "%s", value);
        }
    }
    fclose(file);
    add("process.pid", "%d", getpid());
    add("process.ppid", "%d", getppid());
    add("process.session_leader", "%s", getsid(0) == getpid() ? "yes" : "no");
    add("process.nice", "%d", getpriority(PRIO_PROCESS, 0));
    add("process.scheduler", "%d", sched_getscheduler(0));
    char *score = first_line("/proc/self/oom_score_adj");
    add("process.oom_score_adj", "%s", score ? score : "?");
}

static void add_limits(void) {
    static const struct {
        int number;
        const char *name;
    } limits[] = {{RLIMIT_AS, "as"},           {RLIMIT_CORE, "core"},
                  {RLIMIT_CPU, "cpu"},         {RLIMIT_DATA, "data"},
                  {RLIMIT_FSIZE, "fsize"},     {RLIMIT_LOCKS, "locks"},
                  {RLIMIT_MEMLOCK, "memlock"}, {RLIMIT_MSGQUEUE, "msgqueue"},
                  {RLIMIT_NICE, "nice"},       {RLIMIT_NOFILE, "nofile"},
                  {RLIMIT_NPROC, "nproc"},     {RLIMIT_RTPRIO, "rtprio"},
                  {RLIMIT_RTTIME, "rttime"},   {RLIMIT_SIGPENDING, "sigpending"},
                  {RLIMIT_STACK, "stack"},     {RLIMIT_RSS, "rss"}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;
        getrlimit((unsigned)limits[i].number, &limit);
        add(name("rlimit.%s", limits[i].name), "%lld:%lld", (long long)limit.rlim_cur,
            (long long)limit.rlim_max);
    }
}

static int compare_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts comma separated words in place, so that the order in which a kernel lists options does not
 * matter. */
static char *sort_options(char *options) {
    static char sorted[PATH_MAX];
    char *words[128];
    size_t count = 0, length = 0;
    for (char *word = strtok(options, ","); word && count < 128; word = strtok(NULL, ","))
        words[count++] = word;
    qsort(words, count, sizeof *words, compare_text);
    sorted[0] = 0;
    for (size_t i = 0; i < count; i++)
        length += (size_t)snprintf(sorted + length, sizeof sorted - length, "%s%s", i ? "," : "",
                                   words[i]);
    return sorted;
}

/* One line per mount point, proc(5) mountinfo: type, flags of the mount, options of the file
 * system. */
static void add_mounts(void) {
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    if (!file)
        die("/proc/self/mountinfo");
    while (getline(&line, &size, file) > 0) {
        char target[PATH_MAX], flags[PATH_MAX], type[64], options[PATH_MAX];
        char *tail = strstr(line, " - ");
        if (!tail || sscanf(line, "%*s %*s %*s %*s %4095s %4095s", target, flags) != 2)
            continue;
        if (sscanf(tail, " - %63s %*s %4095s", type, options) != 2)
            continue;
        add(name("mount.%s.type", target), "%s", type);
        add(name("mount.%s.flags", target), "%s", sort_options(flags));
        add(name("mount.%s.options", target), "%s", sort_options(options));
    }
    free(line);
    fclose(file);
}

/* Whether anything can be read at a path: a byte of a file, an entry of a directory. */
static bool can_read(const char *path) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    char byte;
    if (read(fd, &byte, 1) == 1) {
        close(fd);
        return true;
    }
    DIR *folder = fdopendir(fd);
    if (!folder) {
        close(fd);
        return false;
    }
    bool found = false;
    for (struct dirent *entry; (entry = readdir(folder));)
        found |= entry->d_name[0] != '.';
    closedir(folder);
    return found;
}

/* The paths that runtimes mask or make read-only, by what a program can do with them. */
static void add_guarded_paths(void) {
    static const char *masked[] = {"/proc/acpi",        "/proc/asound",        "/proc/kcore",
                                   "/proc/keys",        "/proc/latency_stats", "/proc/scsi",
                                   "/proc/sched_debug", "/proc/timer_list",    "/proc/timer_stats",
                                   "/sys/firmware"};
    static const char *read_only[] = {"/proc/bus",
                                      "/proc/fs",
                                      "/proc/irq",
                                      "/proc/sys/kernel/hostname",
                                      "/proc/sys/vm/swappiness",
                                      "/proc/sysrq-trigger",
                                      "/sys/kernel",
                                      "/sys/fs/cgroup",
                                      "/",
                                      "/etc",
                                      "/tmp",
                                      "/dev",
                                      "/dev/shm",
                                      "/run"};
    for (size_t i = 0; i < sizeof masked / sizeof *masked; i++)
        add(name("read.%s", masked[i]), "%s", can_read(masked[i]) ? "yes" : "no");
    for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++)
        add(name("write.%s", read_only[i]), "%s", access(read_only[i], W_OK) == 0 ? "yes" : "no");
}

static const char *kind(mode_t mode) {
    return S_ISCHR(mode)    ? "chr"
           : S_ISBLK(mode)  ? "blk"
           : S_ISFIFO(mode) ? "fifo"
           : S_ISSOCK(mode) ? "sock"
           : S_ISDIR(mode)  ? "dir"
           : S_ISLNK(mode)  ? "link"
                            : "file";
}

static void add_devices(void) {
    DIR *folder = opendir("/dev");
    if (!folder)
        die("/dev");
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[PATH_MAX], target[PATH_MAX] = "";
        struct stat s;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/dev/%s", entry->d_name);
        if (lstat(path, &s) < 0)
            continue;
        if (S_ISLNK(s.st_mode)) {
            ssize_t length = readlink(path, target, sizeof target - 1);
            target[length > 0 ? length : 0] = 0;
            add(name("dev.%s", entry->d_name), "link %s", target);
        } else if (S_ISCHR(s.st_mode) || S_ISBLK(s.st_mode)) {
            add(name("dev.%s", entry->d_name), "%s %u:%u %04o %u:%u", kind(s.st_mode),
                major(s.st_rdev), minor(s.st_rdev), s.st_mode & 07777, s.st_uid, s.st_gid);
        } else {
            add(name("dev.%s", entry->d_name), "%s %04o %u:%u", kind(s.st_mode), s.st_mode & 07777,
                s.st_uid, s.st_gid);
        }
    }
    closedir(folder);
}

/* What is open, by number: 0, 1, 2 and whatever a runtime forgot to close. */
static void add_descriptors(void) {
    for (int fd = 0; fd < 256; fd++) {
        struct stat s;
        if (fstat(fd, &s) == 0)
            add(name("fd.%03d", fd), "%s%s", kind(s.st_mode), isatty(fd) ? " tty" : "");
    }
}

/* The limits of the container's own cgroup, wherever it is mounted. */
static void add_cgroup(void) {
    static const char *files[] = {"memory.max", "memory.low", "memory.swap.max", "pids.max",
                                  "cpu.max",    "cpu.weight", "cpuset.cpus"};
    char *own = first_line("/proc/self/cgroup");
    char folder[PATH_MAX] = "/sys/fs/cgroup", path[PATH_MAX + 32];
    if (own && strncmp(own, "0::/", 4) == 0)
        snprintf(folder, sizeof folder, "/sys/fs/cgroup%s", own + 3);
    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    if (access(path, F_OK) != 0)
        strcpy(folder, "/sys/fs/cgroup");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        char *value = first_line(path);
        if (value)
            add(name("cgroup.%s", files[i]), "%s", value);
    }
}

static void add_system(void) {
    static const char *controls[] = {"kernel/shm_rmid_forced",
                                     "net/ipv4/ip_unprivileged_port_start",
                                     "net/ipv4/ping_group_range",
                                     "net/ipv4/conf/eth0/rp_filter",
                                     "net/core/somaxconn",
                                     "fs/mqueue/msg_max",
                                     "kernel/msgmax",
                                     "kernel/shmmax",
                                     "kernel/domainname",
                                     "net/ipv4/ip_forward"};
    struct utsname names;
    uname(&names);
    add("uname.hostname", "%s", names.nodename);
    add("uname.release", "%s", names.release);
    add("uname.machine", "%s", names.machine);
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
        char *value = first_line(name("/proc/sys/%s", controls[i]));
        add(name("sysctl.%s", controls[i]), "%s", value ? value : "absent");
    }
    DIR *folder = opendir("/proc/self/ns");
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            add(name("namespace.%s", entry->d_name), "yes");
    if (folder)
        closedir(folder);
    struct ifaddrs *addresses;
    if (getifaddrs(&addresses) < 0)
        die("getifaddrs");
    for (struct ifaddrs *a = addresses; a; a = a->ifa_next)
        add(name("net.%s", a->ifa_name), "%s", a->ifa_flags & IFF_UP ? "up" : "down");
    freeifaddrs(addresses);
}

int print_view(int argc, char **argv) {
    add_arguments(argc, argv);
    add_status();
    add_limits();
    add_mounts();
    add_guarded_paths();
    add_devices();
    add_descriptors();
    add_cgroup();
    add_system();
    qsort(lines, line_count, sizeof *lines, compare_text);
    for (size_t i = 0; i < line_count; i++)
        if (i == 0 || strcmp(lines[i], lines[i - 1]) != 0)
            puts(lines[i]);
    return fflush(stdout) == 0 ? 0 : 125;
}
