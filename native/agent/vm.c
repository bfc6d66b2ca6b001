#define _GNU_SOURCE
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "log.h"
#include "slots.h"

int platform_open_crun(void) {
    int fd = open("/bin/crun", O_RDONLY | O_CLOEXEC);
    unlink("/bin/crun");
    return fd;
}

bool platform_mount_shares(const char *target) {
    // The flags are those of every directory in it, a root file system too: set-user-ID programs
    // and device nodes have to work there.
    return mount("rund", target, "virtiofs", 0, NULL) == 0;
}

bool platform_slot_interface(uint32_t slot, char name[16], struct failure *failure) {
    return slot_interface(slot, name, failure);
}

int platform_dial(uint32_t port) {
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    // The default of 2 s is short for a host under load.
    struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience, sizeof patience);
    struct sockaddr_vm host = {
        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port};
    if (connect(fd, (struct sockaddr *)&host, sizeof host) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

_Noreturn void platform_power_off(void) {
    log_info("powering off");
    kill(-1, SIGKILL);
    sync();
    // There is no ACPI to power off with: a reset is what the VMM takes for the end.
    reboot(RB_AUTOBOOT);
    for (;;) {
        pause();
    }
}
