#define _GNU_SOURCE
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

// What epoll knows of a registration is its descriptor and generation, so that an event that was
// fetched before its source went away, or before the descriptor was used anew, is recognised as
// stale.
struct registration {
    struct source *source;
    uint32_t generation;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct registration *registrations;
static size_t capacity;
static int epoll_fd;
static int timer_fd;
static struct timer *timers;

void agent_lock(void) {
    pthread_mutex_lock(&lock);
}

void agent_unlock(void) {
    pthread_mutex_unlock(&lock);
}

void agent_wait(pthread_cond_t *condition) {
    pthread_cond_wait(condition, &lock);
}

bool loop_add(int fd, uint32_t events, struct source *source) {
    if ((size_t)fd >= capacity) {
        size_t wanted = ((size_t)fd + 64) & ~(size_t)63;
        struct registration *grown = realloc(registrations, wanted * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        memset(grown + capacity, 0, (wanted - capacity) * sizeof *grown);
        registrations = grown;
        capacity = wanted;
    }
    struct registration *registration = &registrations[fd];
    registration->generation++;
    struct epoll_event event = {
        .events = events,
        .data.u64 = (uint64_t)registration->generation << 32 | (uint32_t)fd,
    };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        return false;
    }
    registration->source = source;
    return true;
}

void loop_remove(int fd) {
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    registrations[fd].source = NULL;
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void arm(void) {
    int64_t first = 0;
    for (struct timer *timer = timers; timer != NULL; timer = timer->next) {
        if (first == 0 || timer->at < first) {
            first = timer->at;
        }
    }
    struct itimerspec spec = {
        .it_value = {.tv_sec = first / 1000000000, .tv_nsec = first % 1000000000},
    };
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

void loop_cancel_timer(struct timer *timer) {
    for (struct timer **link = &timers; *link != NULL; link = &(*link)->next) {
        if (*link == timer) {
            *link = timer->next;
            timer->at = 0;
            return;
        }
    }
}

void loop_set_timer(struct timer *timer, int64_t delay_nanos) {
    loop_cancel_timer(timer);
    timer->at = now() + delay_nanos;
    timer->next = timers;
    timers = timer;
    arm();
}

static void timers_ready(struct source *source, uint32_t events) {
    (void)source;
    (void)events;
    uint64_t expirations;
    if (read(timer_fd, &expirations, sizeof expirations) < 0) {
        return; // set anew in the meantime
    }
    int64_t time = now();
    struct timer *due = timers;
    while (due != NULL) {
        if (due->at <= time) {
            loop_cancel_timer(due);
            due->fire(due);
            due = timers; // fire may have changed the list
        } else {
            due = due->next;
        }
    }
    arm();
}

void loop_open(void) {
    static struct source timer_source = {timers_ready};
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (epoll_fd < 0 || timer_fd < 0 || !loop_add(timer_fd, EPOLLIN, &timer_source)) {
        log_fatal("cannot make an event loop: %s", strerror(errno));
        abort();
    }
}

_Noreturn void loop_run(void) {
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll_fd, &event, 1, -1) != 1) {
            continue; // EINTR
        }
        uint32_t fd = (uint32_t)event.data.u64;
        agent_lock();
        struct registration *registration = &registrations[fd];
        if (registration->source != NULL &&
            registration->generation == (uint32_t)(event.data.u64 >> 32)) {
            registration->source->ready(registration->source, event.events);
        }
        agent_unlock();
    }
}
