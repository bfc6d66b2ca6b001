#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failure.h"

static const char *skip_blanks(const char *at) {
    while (*at == ' ' || *at == '\t') {
        at++;
    }
    return at;
}

// Takes the value of a line `key = "value"` or `key = 'value'`, comment allowed.
static void scan(const char *line, const char *key, char *value, size_t size) {
    const char *at = skip_blanks(line);
    size_t length = strlen(key);
    if (strncmp(at, key, length) != 0) {
        return;
    }
    at = skip_blanks(at + length);
    if (*at != '=') {
        return;
    }
    at = skip_blanks(at + 1);
    char quote = *at;
    const char *end = quote == '"' || quote == '\'' ? strchr(at + 1, quote) : NULL;
    if (end == NULL || (size_t)(end - at) > size || memchr(at, '\\', (size_t)(end - at)) != NULL) {
        return;
    }
    size_t count = (size_t)(end - at - 1);
    memcpy(value, at + 1, count);
    value[count] = '\0';
}

static void choose_path(const char *install_root, struct config *config) {
    const char *named = getenv("RUND_CONFIG");
    int length;
    if (named != NULL && *named != '\0') {
        length = snprintf(config->path, sizeof config->path, "%s", named);
    } else if (access("/etc/rund/rund.toml", F_OK) == 0) {
        length = snprintf(config->path, sizeof config->path, "/etc/rund/rund.toml");
    } else {
        length = snprintf(config->path, sizeof config->path, "%s/etc/rund.toml", install_root);
    }
    if (length >= (int)sizeof config->path) {
        fail("the path of the configuration is too long");
    }
}

void read_config(const char *install_root, struct config *config) {
    strcpy(config->state_dir, "/run/rund");
    strcpy(config->isolation, "node");
    choose_path(install_root, config);
    FILE *file = fopen(config->path, "re");
    if (file == NULL) {
        fail_errno("cannot read the configuration %s", config->path);
    }
    char line[PATH_MAX + 64];
    while (fgets(line, sizeof line, file) != NULL && *skip_blanks(line) != '[') {
        scan(line, "state_dir", config->state_dir, sizeof config->state_dir);
        scan(line, "isolation", config->isolation, sizeof config->isolation);
    }
    fclose(file);
    if (config->state_dir[0] != '/') {
        fail("state_dir in %s must be an absolute path", config->path);
    }
}
