#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bootstrap.h"
#include "failure.h"
#include "spawn.h"
#include "sweep.h"
#include "ttrpc.h"

enum { HELLO_SECONDS = 30, HANG_UPS = 5 };

// FNV-1a, 64 bits: a short and stable name is all that is needed of it.
static uint64_t hash(uint64_t state, const char *text) {
    do {
        state = (state ^ (uint8_t)*text) * 0x100000001b3U;
    } while (*text++ != '\0');
    return state;
}

void locate_engine(const struct config *config, const struct invocation *invocation,
                   struct engine *engine) {
    uint64_t key = hash(0xcbf29ce484222325U, invocation->containerd_address);
    const char *isolation = config->isolation;
    if (strcmp(isolation, "namespace") == 0) {
        key = hash(key, invocation->namespace);
    } else if (strcmp(isolation, "sandbox") == 0) {
        // All containers of a pod are in the engine of its sandbox.
        char sandbox[256];
        read_sandbox_id(sandbox, sizeof sandbox);
        key = hash(hash(key, invocation->namespace), sandbox[0] != '\0' ? sandbox : invocation->id);
    } else {
        isolation = "node"; // what else may be written there, the engine will complain about
    }
    snprintf(engine->directory, sizeof engine->directory, "%s/%s-%016" PRIx64, config->state_dir,
             isolation, key);
    snprintf(engine->socket, sizeof engine->socket, "%s/engine.sock", engine->directory);
    snprintf(engine->lock, sizeof engine->lock, "%s/engine.lock", engine->directory);
    snprintf(engine->log, sizeof engine->log, "%s/engine.log", engine->directory);
}

static void make_directory(const char *path) {
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        fail_errno("cannot make the state directory %s", path);
    }
}

static void make_directories(const char *path) {
    char copy[PATH_MAX + 64];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        make_directory(copy);
        *slash = '/';
    }
    make_directory(copy);
}

// Takes the engine's lock, F_RDLCK or F_WRLCK. It is held until the descriptor is closed, by the
// end of this process at the latest; an engine that is started meanwhile does not inherit it.
static int take_lock(const struct engine *engine, short type) {
    for (;;) {
        make_directories(engine->directory);
        int fd = open(engine->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 && errno == ENOENT) {
            continue; // swept away in between
        }
        if (fd < 0) {
            fail_errno("cannot open %s", engine->lock);
        }
        struct flock whole_file = {.l_type = type, .l_whence = SEEK_SET};
        while (fcntl(fd, F_OFD_SETLKW, &whole_file) < 0) {
            if (errno != EINTR) {
                fail_errno("cannot lock %s", engine->lock);
            }
        }
        struct stat status;
        if (fstat(fd, &status) == 0 && status.st_nlink > 0) {
            return fd;
        }
        close(fd);
    }
}

static bool engine_answers(const char *socket_path) {
    struct message hello = {0};
    static struct reply reply;
    for (int hang_ups = 0; hang_ups < HANG_UPS; hang_ups++) {
        call(socket_path, "rund.v1.Engine", "Hello", &hello, HELLO_SECONDS, &reply);
        switch (reply.outcome) {
        case ANSWERED:
            return true;
        case NOT_SERVED:
            return false;
        case REFUSED:
            fail("the engine at %s refuses to work: %s", socket_path, reply.text);
        case NOT_AN_ENGINE:
            fail("%s", reply.text);
        case HUNG_UP:
            // It died under the call; its socket will refuse as soon as the kernel has cleaned up.
            nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
        }
    }
    fail("%s is served by something that hangs up: if it is not a rund engine, end it and remove "
         "the socket",
         socket_path);
}

void ensure_engine(const char *install_root, const struct config *config,
                   const struct invocation *invocation, const struct engine *engine) {
    // A shared lock keeps the engine from leaving, and many sandboxes can start at once.
    int lock = take_lock(engine, F_RDLCK);
    if (engine_answers(engine->socket)) {
        return;
    }
    close(lock);
    take_lock(engine, F_WRLCK);
    if (engine_answers(engine->socket)) {
        return;
    }
    if (unlink(engine->socket) < 0 && errno != ENOENT) {
        fail_errno("cannot remove the stale socket %s", engine->socket);
    }
    sweep_state(config->state_dir);
    start_engine(install_root, config, invocation, engine);
}
