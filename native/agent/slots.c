#define _GNU_SOURCE
#include "slots.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

#define DEVICES "/sys/bus/platform/devices/"
#define DRIVER "/sys/bus/platform/drivers/virtio-mmio/"

enum { PATH_SIZE = 128 };

static bool exists(uint32_t slot, struct failure *failure) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, DEVICES "virtio-mmio.%u", slot);
    return access(path, F_OK) == 0 ||
           fail(failure, STATUS_INVALID_ARGUMENT, "the sandbox has no slot %u", slot);
}

static bool is_bound(uint32_t slot) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, DEVICES "virtio-mmio.%u/driver", slot);
    return access(path, F_OK) == 0;
}

static bool tell_driver(const char *control, uint32_t slot) {
    char name[32];
    snprintf(name, sizeof name, "virtio-mmio.%u", slot);
    return file_write(control, name);
}

bool slot_bind(uint32_t slot, struct failure *failure) {
    if (!exists(slot, failure)) {
        return false;
    }
    if (is_bound(slot) || tell_driver(DRIVER "bind", slot) || is_bound(slot)) {
        return true;
    }
    if (errno == ENODEV) {
        return fail(failure, STATUS_FAILED_PRECONDITION, "slot %u is empty", slot);
    }
    return fail_errno(failure, "binding slot %u", slot);
}

bool slot_unbind(uint32_t slot, struct failure *failure) {
    return exists(slot, failure) &&
           (!is_bound(slot) || tell_driver(DRIVER "unbind", slot) || !is_bound(slot) ||
            fail_errno(failure, "unbinding slot %u", slot));
}

// The first entry whose name begins so; empty when there is none.
static void first_entry(const char *directory, const char *prefix, char name[64]) {
    name[0] = '\0';
    DIR *entries = opendir(directory);
    struct dirent *entry;
    while (entries != NULL && name[0] == '\0' && (entry = readdir(entries)) != NULL) {
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            snprintf(name, 64, "%.63s", entry->d_name);
        }
    }
    if (entries != NULL) {
        closedir(entries);
    }
}

void slot_find_disk(uint32_t slot, char path[64]) {
    // Probing is synchronous, and so is devtmpfs: the disk is there, or it is no disk.
    char directory[PATH_SIZE];
    char device[64];
    char disk[64];
    snprintf(directory, sizeof directory, DEVICES "virtio-mmio.%u", slot);
    first_entry(directory, "virtio", device);
    snprintf(directory, sizeof directory, DEVICES "virtio-mmio.%u/%s/block", slot, device);
    first_entry(directory, "", disk);
    path[0] = '\0';
    if (device[0] != '\0' && disk[0] != '\0') {
        snprintf(path, 64, "/dev/%.32s", disk);
    }
}

bool slot_disk(uint32_t slot, char path[64], struct failure *failure) {
    if (!slot_bind(slot, failure)) {
        return false;
    }
    slot_find_disk(slot, path);
    return path[0] != '\0' ||
           fail(failure, STATUS_FAILED_PRECONDITION, "the device in slot %u is not a disk", slot);
}

bool slot_interface(uint32_t slot, char name[16], struct failure *failure) {
    if (!slot_bind(slot, failure)) {
        return false;
    }
    char directory[PATH_SIZE];
    char device[64];
    char interface[64];
    snprintf(directory, sizeof directory, DEVICES "virtio-mmio.%u", slot);
    first_entry(directory, "virtio", device);
    snprintf(directory, sizeof directory, DEVICES "virtio-mmio.%u/%s/net", slot, device);
    first_entry(directory, "", interface);
    snprintf(name, 16, "%.15s", interface);
    return (device[0] != '\0' && name[0] != '\0') ||
           fail(failure, STATUS_FAILED_PRECONDITION, "the device in slot %u is no network card",
                slot);
}
