// What containerd and a shim tell each other when the shim is started, which differs by version.
//
// 1.6, 1.7 and 2.0 to 2.2 pass everything as flags and in the environment, and on stdin the
// runtime's options (google.protobuf.Any), if any. They understand a bare address as the answer:
// Task service v2 by ttrpc. 2.x would take the JSON answer with version 3 as well, but says in no
// way that it is 2.x, and 1.7 refuses it.
// 2.3 writes BootstrapParams to stdin (api/runtime/bootstrap/v1), and a containerd that sets
// MAX_SHIM_VERSION to 3 or more says by that what it understands: they get the JSON answer.
#ifndef RUND_BOOTSTRAP_H
#define RUND_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>

#include "engine.h"

// Reads stdin, which may hold nothing, options or BootstrapParams, and fills in what flags and
// environment have not said. True when the caller understands a JSON answer with version 3.
bool read_bootstrap(struct invocation *invocation);

// The address that a bundle names, as containerd 2 or a launcher has written it there; false when
// it names none. Reads the working directory.
bool address_of_bundle(char *address, size_t size);

// The pod of a container, from the specification in the working directory: the value of CRI's
// annotation. Empty for a container without one.
void read_sandbox_id(char *id, size_t size);

#endif
