// Why a request could not be done: a gRPC status code and a sentence for the person who typed `ctr
// run`.
#pragma once

#include <stdbool.h>

enum status_code {
    STATUS_INVALID_ARGUMENT = 3,
    STATUS_NOT_FOUND = 5,
    STATUS_ALREADY_EXISTS = 6,
    STATUS_RESOURCE_EXHAUSTED = 8,
    STATUS_FAILED_PRECONDITION = 9,
    STATUS_UNIMPLEMENTED = 12,
    STATUS_INTERNAL = 13,
};

struct failure {
    enum status_code code;
    char message[1024];
};

// Fills *failure in and returns false, so that a caller can `return fail(...)`.
bool fail(struct failure *failure, enum status_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The same with code INTERNAL and ": " and the text of errno behind the message.
bool fail_errno(struct failure *failure, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
