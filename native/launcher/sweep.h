// Removing what engines of one sandbox or one namespace leave behind: with them it would pile up.
#ifndef RUND_SWEEP_H
#define RUND_SWEEP_H

// Removes the directories and cgroups of engines that have left orderly. Those of engines that were
// killed stay for a day, for the sake of their logs. Never fails: it is nobody's task.
void sweep_state(const char *state_dir);

#endif
