// What tests of terminals and of ends of processes need and Swift cannot call.

#ifndef CTEST_SUPPORT_H
#define CTEST_SUPPORT_H

#include <sys/types.h>

// Opens a pseudoterminal, both ends close-on-exec. Returns 0, or -errno.
int ctest_open_terminal(int *master, int *slave);

// A pipe, both ends close-on-exec: where it is read from, where it is written to. Returns 0, or -errno.
int ctest_pipe(int *ends);

// Where a new process stands in job control.
enum ctest_place {
    // In a session of its own, with file 0 as its terminal, in the foreground.
    CTEST_NEW_SESSION,
    // In a process group of its own in the caller's session, so in the background.
    CTEST_NEW_GROUP,
};

// Starts a program. Its file descriptor i is files[i], for all i below `count`. No signal is blocked, and all have their
// default action; a crash leaves no core file. Returns its process id, or -errno.
pid_t ctest_spawn(char *const *arguments, char *const *environment, const int *files, int count, enum ctest_place place);

// Waits until a child ends, or also until it stops. Returns 0 if it exits with status 0; a status above 0; 1000 plus the
// number of the signal that ended it; 2000 plus the number of the signal that stopped it; or -errno.
int ctest_wait(pid_t child, int or_stops);

// Makes a process group the foreground one of this session's terminal, from the background too. Returns 0, or -errno.
int ctest_set_foreground(int terminal, pid_t group);

#endif
