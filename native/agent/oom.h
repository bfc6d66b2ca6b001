// Processes of a container that the kernel killed for want of memory. Needs the lock.
#pragma once

#include "container.h"

// Begins to watch a container whose cgroup is known.
void oom_watch(struct container *container);
// Looks at once, so that a kill is told before the exit that it caused.
void oom_check(struct container *container);
// Answers when there are more kills than `seen`, else later.
bool oom_wait(struct container *container, uint64_t seen, struct ttrpc_stream stream,
              struct failure *failure);
// The container goes: nobody is left to wait for.
void oom_end(struct container *container);
