// A container's directory, /run/rund/ID: rootfs with the disk mounted, config.json.
#pragma once

#include "failure.h"
#include "rund/agent/v1/agent.pb-c.h"

// Without the lock. On failure nothing is left.
bool bundle_create(const Rund__Agent__V1__CreateContainerRequest *request, bool *mounted,
                   struct failure *failure);
void bundle_remove(const char *id, bool mounted);
