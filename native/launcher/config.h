// What the launcher needs of rund.toml: where engines live and who shares one. Everything else, and
// every complaint about the file, is the engine's.
#ifndef RUND_CONFIG_H
#define RUND_CONFIG_H

#include <limits.h>

struct config {
    char path[PATH_MAX];
    char state_dir[PATH_MAX];
    char isolation[16];
};

// Reads $RUND_CONFIG, /etc/rund/rund.toml or <install_root>/etc/rund.toml, the first that there is.
// Values that are absent, or not of the form key = "value" before the first table, keep their
// defaults.
void read_config(const char *install_root, struct config *config);

#endif
