// /dev/shm of a pod: one tmpfs of the guest, for all containers.
#pragma once

#include <stdint.h>

#include "failure.h"

// No container is called so: ids do not begin with '.'.
#define POD_SHM "/run/rund/.shm"

// Mounts it with this size, unless it is mounted. Without the lock.
bool shm_mount(uint64_t bytes, struct failure *failure);
