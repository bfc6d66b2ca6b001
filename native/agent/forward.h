// Connections of the host to ports of the pod, as `kubectl port-forward` makes them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"

// Connects to a port of localhost, IPv4 or IPv6, and to a port of the host, and copies between them
// until both directions have ended. Without the lock.
bool forward_port(uint32_t port, uint32_t host_port, struct failure *failure);
