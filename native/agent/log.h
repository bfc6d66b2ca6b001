// The agent's log: the kernel's ring buffer, so that its lines stand in order with the kernel's
// own.
#pragma once

void log_open(void);
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

// For what ends the sandbox: the engine reports these lines as the guest's last words.
void log_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
