#include "failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool fail(struct failure *failure, enum status_code code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    failure->code = code;
    vsnprintf(failure->message, sizeof failure->message, format, args);
    va_end(args);
    return false;
}

bool fail_errno(struct failure *failure, const char *format, ...) {
    const char *reason = strerror(errno);
    va_list args;
    va_start(args, format);
    failure->code = STATUS_INTERNAL;
    vsnprintf(failure->message, sizeof failure->message, format, args);
    va_end(args);
    size_t length = strlen(failure->message);
    snprintf(failure->message + length, sizeof failure->message - length, ": %s", reason);
    return false;
}
