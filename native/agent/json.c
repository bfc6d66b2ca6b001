#define _GNU_SOURCE
#include "json.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

struct cursor {
    const char *at;
    const char *end;
};

static void skip_space(struct cursor *cursor) {
    while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) != NULL && *cursor->at) {
        cursor->at++;
    }
}

static bool take(struct cursor *cursor, char wanted) {
    skip_space(cursor);
    if (cursor->at == cursor->end || *cursor->at != wanted) {
        return false;
    }
    cursor->at++;
    return true;
}

static bool skip_string(struct cursor *cursor) {
    if (!take(cursor, '"')) {
        return false;
    }
    for (; cursor->at < cursor->end; cursor->at++) {
        if (*cursor->at == '"') {
            cursor->at++;
            return true;
        }
        if (*cursor->at == '\\') {
            cursor->at++;
        }
    }
    return false;
}

static bool skip_value(struct cursor *cursor, int depth);

// Skips to behind the closing bracket. Members of an object are a string, a colon and a value.
static bool skip_members(struct cursor *cursor, char close, int depth) {
    if (take(cursor, close)) {
        return true;
    }
    do {
        if (close == '}' && !(skip_string(cursor) && take(cursor, ':'))) {
            return false;
        }
        if (!skip_value(cursor, depth + 1)) {
            return false;
        }
    } while (take(cursor, ','));
    return take(cursor, close);
}

static bool skip_value(struct cursor *cursor, int depth) {
    if (depth > DEPTH_MAX) {
        return false;
    }
    if (take(cursor, '{')) {
        return skip_members(cursor, '}', depth);
    }
    if (take(cursor, '[')) {
        return skip_members(cursor, ']', depth);
    }
    if (cursor->at < cursor->end && *cursor->at == '"') {
        return skip_string(cursor);
    }
    const char *start = cursor->at; // a number or a word: crun judges which
    while (cursor->at < cursor->end && *cursor->at != '\0' &&
           strchr(",]} \t\r\n", *cursor->at) == NULL) {
        cursor->at++;
    }
    return cursor->at > start;
}

// With the cursor behind '{': finds the value of a key and leaves the cursor in front of it. Fails
// at the object's end with the cursor behind it, *closed telling that the object is whole.
static bool find_key(struct cursor *cursor, const char *key, bool *closed) {
    *closed = take(cursor, '}');
    if (*closed) {
        return false;
    }
    do {
        skip_space(cursor);
        const char *name = cursor->at + 1;
        if (!skip_string(cursor)) {
            return false;
        }
        size_t length = (size_t)(cursor->at - 1 - name);
        if (!take(cursor, ':')) {
            return false;
        }
        skip_space(cursor);
        if (length == strlen(key) && memcmp(name, key, length) == 0) {
            return true;
        }
        if (!skip_value(cursor, 0)) {
            return false;
        }
    } while (take(cursor, ','));
    *closed = take(cursor, '}');
    return false;
}

static char *splice(const char *json, size_t length, const char *from, const char *to,
                    const char *const pieces[], size_t *new_length) {
    size_t added = 0;
    for (size_t i = 0; pieces[i] != NULL; i++) {
        added += strlen(pieces[i]);
    }
    *new_length = length - (size_t)(to - from) + added;
    char *result = malloc(*new_length + 1);
    if (result == NULL) {
        return NULL;
    }
    char *at = mempcpy(result, json, (size_t)(from - json));
    for (size_t i = 0; pieces[i] != NULL; i++) {
        at = stpcpy(at, pieces[i]);
    }
    at = mempcpy(at, to, (size_t)(json + length - to));
    *at = '\0';
    return result;
}

char *json_with_root_path(const char *json, size_t length, const char *path, size_t *new_length,
                          struct failure *failure) {
    struct cursor cursor = {json, json + length};
    struct cursor whole = cursor;
    skip_space(&whole);
    if (whole.at == whole.end || *whole.at != '{' || !skip_value(&whole, 0) ||
        (skip_space(&whole), whole.at != whole.end)) {
        fail(failure, STATUS_INVALID_ARGUMENT, "the container's specification is not valid JSON");
        return NULL;
    }
    bool closed;
    if (!take(&cursor, '{') || !find_key(&cursor, "root", &closed) || !take(&cursor, '{')) {
        fail(failure, STATUS_INVALID_ARGUMENT, "the container's specification has no root");
        return NULL;
    }
    struct cursor members = cursor;
    const char *from = cursor.at;
    const char *to = cursor.at;
    const char *pieces[] = {"\"path\":\"", path, "\",", NULL};
    if (find_key(&members, "path", &closed)) {
        from = members.at;
        skip_value(&members, 0);
        to = members.at;
        pieces[0] = "\"";
        pieces[2] = "\"";
    } else if (take(&cursor, '}')) {
        pieces[2] = "\"";
    }
    char *result = splice(json, length, from, to, pieces, new_length);
    if (result == NULL) {
        fail(failure, STATUS_RESOURCE_EXHAUSTED, "no memory for the container's specification");
    }
    return result;
}

bool json_has(const char *json, size_t length, const char *name) {
    struct cursor cursor = {json, json + length};
    bool closed;
    return take(&cursor, '{') && find_key(&cursor, name, &closed);
}
