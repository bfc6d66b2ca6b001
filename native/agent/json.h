// What the agent reads and changes in an OCI specification.
#pragma once

#include <stddef.h>

#include "failure.h"

// A copy of the JSON object in which root.path is `path`, everything else being as it was; to be
// freed. `path` must not need escapes. NULL when the text is not an object, or has no object
// "root".
char *json_with_root_path(const char *json, size_t length, const char *path, size_t *new_length,
                          struct failure *failure);

// Whether the JSON object has a member of this name.
bool json_has(const char *json, size_t length, const char *name);
