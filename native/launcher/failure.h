#ifndef RUND_FAILURE_H
#define RUND_FAILURE_H

// Says on stderr what failed and what to do, and ends the program with status 1. containerd shows
// the text to its client.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The same, with the meaning of errno at the end.
_Noreturn void fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
