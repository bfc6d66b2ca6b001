// A machine that was saved goes on at another host: all its connections are gone, by a reset of the
// transport. Its containers go on, and notice nothing: their streams stand still until Adopt.
#pragma once

// Nobody is there any more whom the containers could answer. Execs end, and containers that are
// just being created, for whoever asked for them is gone. Needs the lock.
void adopt_cut_off(void);
