#define _GNU_SOURCE
#include "executor.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cgroup.h"
#include "crun.h"
#include "files.h"
#include "oom.h"
#include "process.h"

static bool run(struct process *process, const char *command, const char *const rest[],
                const char *pid_file, struct failure *failure) {
    const char *arguments[CRUN_ARGUMENTS_MAX];
    size_t count = 0;
    arguments[count++] = command;
    arguments[count++] = "--pid-file";
    arguments[count++] = pid_file;
    if (process->streams.terminal) {
        arguments[count++] = "--console-socket";
        arguments[count++] = process->streams.console.socket.path;
    }
    for (size_t i = 0; rest[i] != NULL; i++) {
        arguments[count++] = rest[i];
    }
    arguments[count] = NULL;
    return crun(arguments, process->streams.child, failure);
}

static bool read_pid(const char *pid_file, pid_t *pid, struct failure *failure) {
    char text[32];
    if (file_read(pid_file, text, sizeof text) < 0) {
        return fail_errno(failure, "reading the pid that crun wrote");
    }
    *pid = (pid_t)strtol(text, NULL, 10);
    return *pid > 0 || fail(failure, STATUS_INTERNAL, "crun wrote the pid '%s'", text);
}

static bool adopt(struct process *process, enum process_state state, pid_t pid,
                  struct failure *failure) {
    struct container *container = process->container;
    if (process->exec_id[0] == '\0') {
        if (!cgroup_of(pid, container->cgroup, sizeof container->cgroup, failure)) {
            return false;
        }
        oom_watch(container);
    }
    if (process->dropped || // and nobody hears why
        !streams_attach(&process->streams, process_stream_ended, process, failure)) {
        kill(pid, SIGKILL);
        return false;
    }
    process->state = state;
    process_started(process, pid);
    return true;
}

bool executor_run(struct process *process, const char *command, const char *const rest[],
                  enum process_state state, pid_t *pid, struct failure *failure) {
    if (!streams_open(&process->streams, failure)) {
        return false;
    }
    agent_lock();
    reaper_hold();
    agent_unlock();
    struct temporary pid_file = temporary_path();
    bool done = run(process, command, rest, pid_file.path, failure) &&
                read_pid(pid_file.path, pid, failure);
    unlink(pid_file.path);
    agent_lock();
    done = done && adopt(process, state, *pid, failure);
    reaper_release();
    agent_unlock();
    return done;
}
