// The end of a process: its exit status, what is left of its output, and who waits for it. Needs
// the lock.
#pragma once

#include "container.h"
#include "reaper.h"

// A child has ended. False when it is no process of a container.
bool process_reaped(pid_t pid, const struct exit_record *record);
// The pid of a process is known from now on; it may have ended already. Between reaper_hold and
// reaper_release.
void process_started(struct process *process, pid_t pid);
// Marks a process that never ran as ended.
void process_failed(struct process *process);
// A stream of the process (owner) has come to its end.
void process_stream_ended(void *owner);
void process_deadline(struct timer *timer);

// Answers at once if it has ended, else later.
bool process_wait(struct process *process, struct ttrpc_stream stream, struct failure *failure);
void process_answer_waiters(struct process *process);
// Their connection has ended.
void process_forget_waiters(struct process *process);
// Kills it and removes it; while a thread works on it that is left to the thread.
void process_drop(struct process *process);
