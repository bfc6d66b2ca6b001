#define _GNU_SOURCE
#include "bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "json.h"
#include "log.h"
#include "mount.h"
#include "shares.h"
#include "shm.h"
#include "slots.h"

static bool has_rootfs(const Rund__Agent__V1__CreateContainerRequest *request) {
    return request->rootfs != NULL || request->rootfs_share[0] != '\0';
}

static bool mount_rootfs(const Rund__Agent__V1__CreateContainerRequest *request, const char *target,
                         struct failure *failure) {
    const Rund__Agent__V1__BlockRootfs *rootfs = request->rootfs;
    if (rootfs == NULL) {
        return share_bind(request->rootfs_share, target, failure);
    }
    char disk[64];
    return slot_disk(rootfs->slot, disk, failure) &&
           mount_disk(disk, target, rootfs->fstype, rootfs->options, rootfs->n_options, failure);
}

static bool write_config(const Rund__Agent__V1__CreateContainerRequest *request,
                         struct failure *failure) {
    struct path config = container_path(request->container_id, "config.json");
    struct path rootfs = container_path(request->container_id, "rootfs");
    if (!has_rootfs(request)) {
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

// Remembers what to let go of when the container is deleted.
static bool note_shares(const Rund__Agent__V1__CreateContainerRequest *request,
                        struct container *container, struct failure *failure) {
    if (request->n_shares == 0) {
        return true;
    }
    if (!shares_mount(failure)) {
        return false;
    }
    container->shares = calloc(request->n_shares + 1, sizeof *container->shares);
    for (size_t i = 0; i < request->n_shares; i++) {
        if (!id_check("share", request->shares[i], failure)) {
            return false;
        }
        if (container->shares == NULL || !share_take(request->shares[i], failure)) {
            return fail(failure, STATUS_RESOURCE_EXHAUSTED, "no memory for %zu shares",
                        request->n_shares);
        }
        container->shares[i] = strdup(request->shares[i]);
        if (container->shares[i] == NULL) {
            share_release(request->shares[i]);
            return fail(failure, STATUS_RESOURCE_EXHAUSTED, "no memory for %zu shares",
                        request->n_shares);
        }
    }
    return true;
}

bool bundle_create(const Rund__Agent__V1__CreateContainerRequest *request,
                   struct container *container, struct failure *failure) {
    struct path directory = container_path(request->container_id, "");
    struct path rootfs = container_path(request->container_id, "rootfs");
    if (mkdir(directory.text, 0700) != 0 || mkdir(rootfs.text, 0755) != 0) {
        fail_errno(failure, "making %s", rootfs.text);
    } else if (write_config(request, failure) && note_shares(request, container, failure) &&
               shm_mount(request, failure) &&
               (!has_rootfs(request) ||
                (container->mounted = mount_rootfs(request, rootfs.text, failure)))) {
        return true;
    }
    bundle_remove(container);
    return false;
}

void bundle_remove(struct container *container) {
    struct path rootfs = container_path(container->id, "rootfs");
    if (container->mounted && umount2(rootfs.text, 0) != 0) {
        log_error("unmounting %s: %s; detached", rootfs.text, strerror(errno));
        umount2(rootfs.text, MNT_DETACH);
    }
    for (char **name = container->shares; name != NULL && *name != NULL; name++) {
        share_release(*name);
    }
    rmdir(rootfs.text);
    unlink(container_path(container->id, "config.json").text);
    rmdir(container_path(container->id, "").text);
}
