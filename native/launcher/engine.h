// Where an engine lives, and starting it.
#ifndef RUND_ENGINE_H
#define RUND_ENGINE_H

#include "config.h"

// What containerd passes on the command line and in the environment.
struct invocation {
    const char *namespace;
    const char *id;
    const char *bundle;
    const char *containerd_address;
    const char *containerd_ttrpc;
};

struct engine {
    char directory[PATH_MAX + 64];
    char socket[PATH_MAX + 80];
    char lock[PATH_MAX + 80];
    char log[PATH_MAX + 80];
};

// Finds the engine's paths from who is to share it.
void locate_engine(const struct config *config, const struct invocation *invocation,
                   struct engine *engine);

// Makes sure that an engine answers, starting one if there is none. Returns when it does.
void ensure_engine(const char *install_root, const struct config *config,
                   const struct invocation *invocation, const struct engine *engine);

#endif
