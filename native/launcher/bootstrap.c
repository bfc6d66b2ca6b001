#include "bootstrap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"
#include "message.h"

enum { MAX_INPUT = 1 << 20, MAX_SPEC = 16 << 20, JSON_VERSION = 3 };

// What is longer than the buffer is none of ours to understand.
static size_t read_input(uint8_t *buffer, size_t size) {
    size_t length = 0;
    if (isatty(STDIN_FILENO)) {
        return 0;
    }
    while (length < size) {
        ssize_t got = read(STDIN_FILENO, buffer + length, size - length);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            break;
        }
        length += got < 0 ? 0 : (size_t)got;
    }
    return length;
}

static const char *text_of(struct bytes params, uint32_t field, const char *given) {
    struct bytes value;
    bool malformed = false;
    if (given[0] != '\0' || !find_bytes(params, field, &value, &malformed) || malformed) {
        return given;
    }
    char *text = malloc(value.length + 1);
    if (text == NULL) {
        fail("no memory for the parameters on stdin");
    }
    memcpy(text, value.start, value.length);
    text[value.length] = '\0';
    return text;
}

// BootstrapParams: instance_id = 1, namespace = 2, containerd_version = 4,
// containerd_ttrpc_address = 5, containerd_grpc_address = 6. Any has text in 1 and bytes in 2 too,
// but nothing in 5 and 6.
static bool is_params(struct bytes input, const char *id) {
    struct bytes instance = {NULL, 0};
    struct bytes unused;
    bool malformed = false;
    return input.length > 0 && find_bytes(input, 1, &instance, &malformed) &&
           (find_bytes(input, 5, &unused, &malformed) ||
            find_bytes(input, 6, &unused, &malformed)) &&
           !malformed &&
           (id[0] == '\0' ||
            (instance.length == strlen(id) && memcmp(instance.start, id, instance.length) == 0));
}

bool read_bootstrap(struct invocation *invocation) {
    static uint8_t buffer[MAX_INPUT];
    struct bytes input = {buffer, read_input(buffer, sizeof buffer)};
    if (is_params(input, invocation->id)) {
        invocation->id = text_of(input, 1, invocation->id);
        invocation->namespace = text_of(input, 2, invocation->namespace);
        invocation->containerd_ttrpc = text_of(input, 5, invocation->containerd_ttrpc);
        invocation->containerd_address = text_of(input, 6, invocation->containerd_address);
        return true;
    }
    const char *version = getenv("MAX_SHIM_VERSION");
    return version != NULL && atoi(version) >= JSON_VERSION;
}

static char *read_file(const char *path, size_t limit) {
    struct stat status;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return NULL;
    }
    char *text = NULL;
    if (fstat(fileno(file), &status) == 0 && status.st_size <= (off_t)limit) {
        text = malloc((size_t)status.st_size + 1);
    }
    if (text != NULL) {
        text[fread(text, 1, (size_t)status.st_size, file)] = '\0';
    }
    fclose(file);
    return text;
}

// Takes the string after "KEY": in a JSON text. The quotes of a key are never escaped and those in
// a value always are, so no value passes for a key; what is wanted has no escapes.
static bool json_string(const char *json, const char *key, char *value, size_t size) {
    char quoted[96];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *at = strstr(json, quoted);
    if (at == NULL) {
        return false;
    }
    at += strlen(quoted);
    at += strspn(at, " \t\r\n");
    if (*at != ':') {
        return false;
    }
    at += 1 + strspn(at + 1, " \t\r\n");
    size_t length = *at == '"' ? strcspn(at + 1, "\"\\") : size;
    if (length >= size || at[1 + length] != '"') {
        return false;
    }
    memcpy(value, at + 1, length);
    value[length] = '\0';
    return true;
}

bool address_of_bundle(char *address, size_t size) {
    char *text = read_file("bootstrap.json", size);
    bool found = text != NULL && json_string(text, "address", address, size);
    free(text);
    if (found) {
        return true;
    }
    text = read_file("address", size - 1);
    found = text != NULL;
    if (found) {
        snprintf(address, size, "%s", text);
    }
    free(text);
    return found;
}

void read_sandbox_id(char *id, size_t size) {
    char *text = read_file("config.json", MAX_SPEC);
    if (text == NULL || !json_string(text, "io.kubernetes.cri.sandbox-id", id, size)) {
        id[0] = '\0';
    }
    free(text);
}
