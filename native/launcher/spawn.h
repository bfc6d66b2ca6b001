// Turns rund-engine into a daemon and waits until it listens.
#ifndef RUND_SPAWN_H
#define RUND_SPAWN_H

#include "engine.h"

void start_engine(const char *install_root, const struct config *config,
                  const struct invocation *invocation, const struct engine *engine);

#endif
