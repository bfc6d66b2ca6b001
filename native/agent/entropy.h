// The kernel's random number generator.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "failure.h"

// Seeds the generator anew: what is drawn from now on, by anybody, depends on these bytes, which
// are taken to be all entropy. Does nothing without any.
bool entropy_add(const void *bytes, size_t length, struct failure *failure);
