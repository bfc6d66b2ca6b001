// Mounting with options as in mount(8).
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "failure.h"

// Splits options into the flags of mount(2) and the rest, which is for the file system, separated
// by commas.
bool mount_options(char *const options[], size_t count, unsigned long *flags, char *data,
                   size_t size, struct failure *failure);

bool mount_disk(const char *disk, const char *target, const char *type, char *const options[],
                size_t count, struct failure *failure);
