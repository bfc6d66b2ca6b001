// /dev/shm of a pod: tmpfs of the guest, each for all containers that name it.
#pragma once

#include "failure.h"
#include "rund/agent/v1/agent.pb-c.h"

// Mounts those that a container sees, unless they are mounted. Without the lock.
bool shm_mount(const Rund__Agent__V1__CreateContainerRequest *request, struct failure *failure);
