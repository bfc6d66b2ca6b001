// The PID namespace that containers of a pod share.
#pragma once

#include <sys/types.h>

#include "failure.h"

// The pid of its init, which the first call makes. Without the lock.
bool pod_pid_namespace(pid_t *pid, struct failure *failure);
