// What differs between a virtual machine and a test on the build machine. The agent links vm.c, the
// tests link test/unix.c.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"

// Connects to a port of the host. Returns a blocking stream socket with close-on-exec, or -1 with
// errno.
int platform_dial(uint32_t port);

// Flushes file systems and ends the machine.
_Noreturn void platform_power_off(void);

// Mounts the file system of the host's directories (shares.h). False with errno.
bool platform_mount_shares(const char *target);

// Binds the slot and finds the interface of the network card in it, such as eth0.
bool platform_slot_interface(uint32_t slot, char name[16], struct failure *failure);

// Opens the container executor for reading, for the one who calls first: a VM forgets the file, to
// have its memory back. -1 with errno.
int platform_open_crun(void);
