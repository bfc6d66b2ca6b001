// The network of the sandbox: cards in slots become interfaces as the engine found them in the
// pod's namespace on the host.
#pragma once

#include <stdbool.h>

#include "failure.h"
#include "rund/agent/v1/agent.pb-c.h"

// Binds the slots and sets the interfaces up. What is there already is no error.
bool network_configure(const Rund__Agent__V1__ConfigureNetworkRequest *request,
                       struct failure *failure);
