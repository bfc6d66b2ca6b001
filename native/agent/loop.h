// The event loop: one thread, level-triggered epoll, timers, and the agent's one lock.
//
// Everything the agent knows (containers, processes, relays, running children) is guarded by that
// lock. Callbacks of the loop run with it held; worker threads take it for as long as they look at
// that state, never while they wait for something.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct source {
    void (*ready)(struct source *source, uint32_t events);
};

struct timer {
    void (*fire)(struct timer *timer);
    int64_t at; // CLOCK_MONOTONIC, nanoseconds; 0 when not set
    struct timer *next;
};

void agent_lock(void);
void agent_unlock(void);
// Lets go of the lock until the condition is signalled.
void agent_wait(pthread_cond_t *condition);

void loop_open(void);
// Runs for ever.
_Noreturn void loop_run(void);

// The rest needs the lock. A source that has been removed is not called any more, even if its event
// had already been fetched.
bool loop_add(int fd, uint32_t events, struct source *source);
void loop_remove(int fd);
void loop_set_timer(struct timer *timer, int64_t delay_nanos);
void loop_cancel_timer(struct timer *timer);
