#define _GNU_SOURCE
#include "bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "files.h"
#include "json.h"
#include "log.h"
#include "mount.h"
#include "slots.h"

static bool mount_rootfs(const Rund__Agent__V1__BlockRootfs *rootfs, const char *target,
                         struct failure *failure) {
    char disk[64];
    return slot_disk(rootfs->slot, disk, failure) &&
           mount_disk(disk, target, rootfs->fstype, rootfs->options, rootfs->n_options, failure);
}

static bool write_config(const Rund__Agent__V1__CreateContainerRequest *request,
                         struct failure *failure) {
    struct path config = container_path(request->container_id, "config.json");
    struct path rootfs = container_path(request->container_id, "rootfs");
    if (request->rootfs == NULL) {
        return file_create(config.text, request->spec_json.data, request->spec_json.len) ||
               fail_errno(failure, "writing %s", config.text);
    }
    size_t length;
    char *json = json_with_root_path((const char *)request->spec_json.data, request->spec_json.len,
                                     rootfs.text, &length, failure);
    if (json == NULL) {
        return false;
    }
    bool written =
        file_create(config.text, json, length) || fail_errno(failure, "writing %s", config.text);
    free(json);
    return written;
}

bool bundle_create(const Rund__Agent__V1__CreateContainerRequest *request, bool *mounted,
                   struct failure *failure) {
    struct path directory = container_path(request->container_id, "");
    struct path rootfs = container_path(request->container_id, "rootfs");
    *mounted = false;
    if (mkdir(directory.text, 0700) != 0 || mkdir(rootfs.text, 0755) != 0) {
        fail_errno(failure, "making %s", rootfs.text);
    } else if (write_config(request, failure) &&
               (request->rootfs == NULL ||
                (*mounted = mount_rootfs(request->rootfs, rootfs.text, failure)))) {
        return true;
    }
    bundle_remove(request->container_id, *mounted);
    return false;
}

void bundle_remove(const char *id, bool mounted) {
    struct path rootfs = container_path(id, "rootfs");
    if (mounted && umount2(rootfs.text, 0) != 0) {
        log_error("unmounting %s: %s; detached", rootfs.text, strerror(errno));
        umount2(rootfs.text, MNT_DETACH);
    }
    rmdir(rootfs.text);
    unlink(container_path(id, "config.json").text);
    rmdir(container_path(id, "").text);
}
