// Small files, read and written whole.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Reads at most size - 1 bytes and ends them with a NUL. Returns how many, or -1 with errno.
int file_read(const char *path, char *buffer, size_t size);

// Writes to an existing file, such as a control file of the kernel, in one write. False with errno.
bool file_write(const char *path, const char *text);

// Makes a file with this content. False with errno.
bool file_create(const char *path, const void *content, size_t size);
