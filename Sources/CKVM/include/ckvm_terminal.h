// The terminal that a run takes over: raw mode, and how it is undone however the process ends.
//
// Everything here may be called on any thread. A process takes over one terminal at a time: what a signal handler must
// find can only be in one place.

#ifndef CKVM_TERMINAL_H
#define CKVM_TERMINAL_H

#include <errno.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>

// Whether this process may use the terminal: it is in the terminal's foreground process group, or the terminal has no
// say in job control here. So it is true for everything that is no terminal, too.
static inline bool ckvm_is_foreground(int fd) {
    pid_t owner = tcgetpgrp(fd);
    return owner < 0 || owner == getpgrp();
}

// Takes a terminal over, without changing it yet: from now on until ckvm_terminal_release, what ckvm_terminal_make_raw
// has done is undone when the process exits, when a signal ends it (SIGKILL excepted), and while SIGTSTP has it stopped.
// Eight bytes are written to the eventfd `wake` when the process goes on after a stop, because the terminal's modes must
// then be set again. Returns 0, or -EBUSY when a terminal is taken over already.
int ckvm_terminal_take_over(int fd, int wake);

// Puts the terminal that was taken over into raw mode, if it is not yet: no echo, no line editing, no signals from keys,
// no translation either way. Returns 1 when it is in raw mode; 0 when this is not the time, because the process is in
// the background or on its way out; or -errno.
int ckvm_terminal_make_raw(void);

// Whether the terminal that was taken over is in raw mode.
bool ckvm_terminal_is_raw(void);

// Shows the terminal's other screen, without a cursor, for whoever has taken the terminal over: it is left where the modes
// are put back. Returns whether it is shown; not while the process is about to end or to stop.
bool ckvm_terminal_enter_screen(int fd);

// Gives the terminal back in the modes that it was found in. Input that nobody has read is dropped: it was meant for
// the guest, and a shell would run it.
void ckvm_terminal_release(void);

// The size of the terminal behind a descriptor, in characters. Returns 0, or -errno.
static inline int ckvm_terminal_size(int descriptor, struct winsize *size) {
    return ioctl(descriptor, TIOCGWINSZ, size) < 0 ? -errno : 0;
}

#endif
