// How a terminal gets here: crun connects to a unix socket and sends the pty's master end.
#pragma once

#include <stdbool.h>

#include "crun.h"
#include "failure.h"

struct console {
    struct temporary socket;
    int listener;
};

bool console_listen(struct console *console, struct failure *failure);
// The master that crun has sent, once crun has ended well. -1 on failure.
int console_take(struct console *console, struct failure *failure);
void console_close(struct console *console);
