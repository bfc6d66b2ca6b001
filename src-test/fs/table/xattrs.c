/* Operations on extended attributes, and on ACLs, which are two of them. */
#define _GNU_SOURCE
#include "table.h"

#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define MOST_BYTES (1 << 17)
static char buffer[MOST_BYTES];

/* A value: the word itself, or {COUNT} for so many letters; "empty" for none. */
static const char *value_of(const char *word, size_t *length) {
    static char letters[MOST_BYTES];
    if (word[0] == '{') {
        *length = (size_t)strtoul(word + 1, NULL, 10);
        if (*length >= sizeof letters)
            bad_script("too long", word);
        memset(letters, 'v', *length);
        return letters;
    }
    *length = strcmp(word, "empty") == 0 ? 0 : strlen(word);
    return word;
}

/* setxattr PATH NAME VALUE [FLAGS]; lsetxattr for a symbolic link itself; fsetxattr SLOT NAME VALUE
 */
static void set_xattr(char **arg) {
    size_t length;
    const char *value = value_of(arg[2], &length);
    answer(
        setxattr(path(arg[0]), path(arg[1]), value, length, arg[3] ? (int)constants(arg[3]) : 0));
}

static void set_link_xattr(char **arg) {
    size_t length;
    const char *value = value_of(arg[2], &length);
    answer(lsetxattr(path(arg[0]), path(arg[1]), value, length, 0));
}

static void set_slot_xattr(char **arg) {
    size_t length;
    const char *value = value_of(arg[2], &length);
    answer(fsetxattr(*slot(arg[0]), path(arg[1]), value, length, 0));
}

static void answer_value(ssize_t n) {
    if (n < 0)
        answer(n);
    else if (n > 100)
        answer_text("%zd bytes", n);
    else
        answer_bytes(buffer, (size_t)n);
}

/* getxattr PATH NAME [BUFFER-SIZE]; with size 0 the answer is the length */
static void get_xattr(char **arg) {
    size_t size = arg[2] ? (size_t)number(arg[2]) : sizeof buffer;
    ssize_t n = getxattr(path(arg[0]), path(arg[1]), buffer, size);
    if (size == 0 && n >= 0)
        answer_text("%zd", n);
    else
        answer_value(n);
}

static void get_link_xattr(char **arg) {
    answer_value(lgetxattr(path(arg[0]), path(arg[1]), buffer, sizeof buffer));
}

static void get_slot_xattr(char **arg) {
    answer_value(fgetxattr(*slot(arg[0]), path(arg[1]), buffer, sizeof buffer));
}

static int by_name(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* listxattr PATH [BUFFER-SIZE]: names in order, with commas, but for those that a security module
 * adds. */
static void list_xattr(char **arg) {
    ssize_t n = llistxattr(path(arg[0]), buffer, arg[1] ? (size_t)number(arg[1]) : sizeof buffer);
    if (n < 0) {
        answer(n);
        return;
    }
    char *names[256], line[4096] = "";
    size_t count = 0;
    for (char *name = buffer; name < buffer + n && count < 256; name += strlen(name) + 1)
        if (strcmp(name, "security.selinux") != 0)
            names[count++] = name;
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, "%s%s", i ? "," : "", names[i]);
    }
    answer_text("%s", count ? line : "(empty)");
}

static void remove_xattr(char **arg) {
    answer(removexattr(path(arg[0]), path(arg[1])));
}

/* setcap PATH: cap_net_raw+ep, in the form that the kernel keeps (linux/capability.h,
 * vfs_cap_data). */
static void set_capability(char **arg) {
    struct vfs_cap_data data = {.magic_etc = htole32(VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE)};
    data.data[0].permitted = htole32(1u << CAP_NET_RAW);
    answer(setxattr(path(arg[0]), "security.capability", &data, XATTR_CAPS_SZ_2, 0));
}

static const char *acl_name(const char *which) {
    if (strcmp(which, "access") != 0 && strcmp(which, "default") != 0)
        bad_script("access or default", which);
    return which[0] == 'a' ? "system.posix_acl_access" : "system.posix_acl_default";
}

/* The form of the kernel's interface: linux/posix_acl_xattr.h. */
struct entry {
    uint16_t tag, permission;
    uint32_t id;
};
struct acl {
    uint32_t version;
    struct entry entries[32];
};

static const struct {
    uint16_t tag;
    char letter;
} tags[] = {{0x01, 'u'}, {0x02, 'u'}, {0x04, 'g'}, {0x08, 'g'}, {0x10, 'm'}, {0x20, 'o'}};

/* setacl PATH access|default ENTRY,ENTRY...: entries as of setfacl(1), "u::rw-", "u:1000:r--",
 * "m::rwx", in the kernel's order. */
static void set_acl(char **arg) {
    struct acl acl = {.version = htole32(2)};
    size_t count = 0;
    char copy[512], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", arg[2]);
    for (char *one = strtok_r(copy, ",", &rest); one && count < 32;
         one = strtok_r(NULL, ",", &rest)) {
        char letter, id[16] = "", bits[4];
        if (sscanf(one, "%c::%3s", &letter, bits) != 2 &&
            sscanf(one, "%c:%15[0-9]:%3s", &letter, id, bits) != 3)
            bad_script("not an entry", one);
        struct entry *e = &acl.entries[count++];
        e->tag = letter == 'u' ? 0x01 : letter == 'g' ? 0x04 : letter == 'm' ? 0x10 : 0x20;
        if (id[0])
            e->tag = (uint16_t)(e->tag << 1);
        e->id = htole32(id[0] ? (uint32_t)number(id) : UINT32_MAX);
        e->permission =
            (uint16_t)((bits[0] == 'r') << 2 | (bits[1] == 'w') << 1 | (bits[2] == 'x'));
        e->tag = htole16(e->tag);
        e->permission = htole16(e->permission);
    }
    answer(setxattr(path(arg[0]), acl_name(arg[1]), &acl,
                    sizeof acl.version + count * sizeof *acl.entries, 0));
}

static void get_acl(char **arg) {
    struct acl acl;
    ssize_t n = getxattr(path(arg[0]), acl_name(arg[1]), &acl, sizeof acl);
    if (n < 0) {
        answer(n);
        return;
    }
    char line[512] = "";
    for (size_t i = 0; i < ((size_t)n - sizeof acl.version) / sizeof *acl.entries; i++) {
        const struct entry *e = &acl.entries[i];
        size_t used = strlen(line), t = 0;
        uint16_t bits = le16toh(e->permission);
        char id[16] = "";
        while (t < sizeof tags / sizeof *tags - 1 && tags[t].tag != le16toh(e->tag))
            t++;
        if (tags[t].tag == 0x02 || tags[t].tag == 0x08)
            snprintf(id, sizeof id, "%u", le32toh(e->id));
        snprintf(line + used, sizeof line - used, "%s%c:%s:%c%c%c", i ? "," : "", tags[t].letter,
                 id, bits & 4 ? 'r' : '-', bits & 2 ? 'w' : '-', bits & 1 ? 'x' : '-');
    }
    answer_text("%s", line);
}

static void remove_acl(char **arg) {
    answer(removexattr(path(arg[0]), acl_name(arg[1])));
}

const struct operation xattr_operations[] = {{"setxattr", set_xattr, 3, 4},
                                             {"lsetxattr", set_link_xattr, 3, 3},
                                             {"fsetxattr", set_slot_xattr, 3, 3},
                                             {"getxattr", get_xattr, 2, 3},
                                             {"lgetxattr", get_link_xattr, 2, 2},
                                             {"fgetxattr", get_slot_xattr, 2, 2},
                                             {"listxattr", list_xattr, 1, 2},
                                             {"removexattr", remove_xattr, 2, 2},
                                             {"setcap", set_capability, 1, 1},
                                             {"setacl", set_acl, 3, 3},
                                             {"getacl", get_acl, 2, 2},
                                             {"removeacl", remove_acl, 2, 2},
                                             {NULL, NULL, 0, 0}};
