// Making a process with crun: with its streams, and its pid.
#pragma once

#include "container.h"

// Runs `crun COMMAND --pid-file FILE [--console-socket SOCKET] REST...` and puts the process into
// `state`, or PROCESS_STOPPED if it has ended already. The process belongs to the calling thread
// until then. Without the lock. On failure the process is as it was, but for its streams.
bool executor_run(struct process *process, const char *command, const char *const rest[],
                  enum process_state state, pid_t *pid, struct failure *failure);
