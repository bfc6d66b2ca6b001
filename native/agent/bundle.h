// A container's directory, /run/rund/ID: rootfs with a disk or a directory of the host mounted,
// config.json.
#pragma once

#include "container.h"
#include "failure.h"
#include "rund/agent/v1/agent.pb-c.h"

// Without the lock. On failure nothing is left.
bool bundle_create(const Rund__Agent__V1__CreateContainerRequest *request,
                   struct container *container, struct failure *failure);
void bundle_remove(struct container *container);
