#define _GNU_SOURCE
#include "podpid.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pid_t init;

// Only system calls: other threads of the agent may have held any lock. Everything that the pod's
// processes leave behind ends up here and is reaped by the kernel; no signal from inside ends the
// init of a namespace, and its copy of the agent's memory is not used.
static _Noreturn void run(void) {
    sigset_t none;
    sigemptyset(&none);
    syscall(SYS_close_range, 0U, ~0U, 0U);
    signal(SIGCHLD, SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "pause");
    prctl(PR_SET_DUMPABLE, 0); // no process of the pod looks into it
    for (;;) {
        pause();
    }
}

bool pod_pid_namespace(pid_t *pid, struct failure *failure) {
    pthread_mutex_lock(&mutex);
    if (init <= 0) {
        // Like fork(2), but into a new namespace; unshare(2) would keep the agent from making
        // threads.
        init = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
        if (init == 0) {
            run();
        }
    }
    *pid = init;
    bool made = init > 0 || fail_errno(failure, "making the pod's PID namespace");
    pthread_mutex_unlock(&mutex);
    return made;
}
