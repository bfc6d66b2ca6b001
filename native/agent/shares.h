// Directories and files of the host, in the root of the sandbox's one virtio-fs file system.
//
// The kernel gives each directory there a superblock of its own and mounts it by itself when a path
// goes through it (fs/fuse/dir.c, fuse_dentry_automount): that mount has to be let go of.
#pragma once

#include <stdbool.h>

#include "failure.h"

// No container is called so: ids do not begin with '.'.
#define SHARES_DIRECTORY "/run/rund/.shares"

// Mounts the file system, unless it is mounted. Without the lock.
bool shares_mount(struct failure *failure);

// One more container uses it. A directory is mounted here, so that crun, which would have the
// kernel mount it in the container's own mount namespace, finds it: one superblock for all
// containers.
bool share_take(const char *name, struct failure *failure);

// Binds the directory `name` to `target`.
bool share_bind(const char *name, const char *target, struct failure *failure);

// One container less uses it; of a directory that none uses any more the mount goes.
void share_release(const char *name);
