// Kernel parameters of the sandbox.
#pragma once

#include "failure.h"

// Writes one; name as in sysctl.conf(5).
bool sysctl_set(const char *name, const char *value, struct failure *failure);
