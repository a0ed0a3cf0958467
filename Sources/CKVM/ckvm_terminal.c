#define _GNU_SOURCE // SIGSTKFLT and other signals of Linux, NSIG

#include "ckvm_terminal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <termios.h>

// Signals of a crash: whatever else is done about them, such as a backtrace, the process is lost.
static const int crash_signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
// The others that end a process by default. SIGKILL cannot be caught.
static const int ending_signals[] = {
    SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1, SIGUSR2,   SIGPIPE, SIGALRM,   SIGTERM,
    SIGXCPU, SIGXFSZ, SIGIO,   SIGPWR,  SIGVTALRM, SIGPROF, SIGSTKFLT,
};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct {
    int fd;
    int wake;
    bool taken;     // between take_over and release
    bool known;     // `found` and `raw_modes` are set
    bool raw;       // the terminal was put into raw mode and not taken back
    bool stale;     // the process was stopped: somebody else may have changed the modes
    bool hands_off; // the process is about to end or to stop
    int screen;     // where the other screen is shown that has to be left, or -1
    struct termios found;
    struct termios raw_modes;
    struct sigaction before[NSIG];
} terminal = {.screen = -1};

// Protects `terminal`. Whoever holds it has all signals blocked, so a handler never waits for its own thread.
static atomic_flag terminal_lock = ATOMIC_FLAG_INIT;

// All signals, because a handler could otherwise wait for the thread that it interrupts; SIGTTOU among them, so
// that changing the modes never stops the process.
static void lock(sigset_t *mask) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, mask);
    while (atomic_flag_test_and_set_explicit(&terminal_lock, memory_order_acquire)) sched_yield();
}

static void unlock(const sigset_t *mask) {
    atomic_flag_clear_explicit(&terminal_lock, memory_order_release);
    pthread_sigmask(SIG_SETMASK, mask, NULL);
}

// With the lock held. In the background the terminal is the shell's, which has set it as it likes it. TCSANOW, because
// waiting for output to drain would wait for whoever has stopped reading it.
static void restore(void) {
    if (terminal.screen >= 0) {
        // Show the cursor, and leave the other screen. Source: xterm, "XTerm Control Sequences", DECTCEM and 1049.
        static const char leave[] = "\x1b[?25h\x1b[?1049l";
        ssize_t written = write(terminal.screen, leave, sizeof leave - 1);
        (void)written;
        terminal.screen = -1;
    }
    if (!terminal.raw) return;
    terminal.raw = false;
    if (!ckvm_is_foreground(terminal.fd)) return;
    tcflush(terminal.fd, TCIFLUSH);
    tcsetattr(terminal.fd, TCSANOW, &terminal.found);
}

// With the lock held.
static void wake(void) {
    uint64_t one = 1;
    // An eventfd takes eight bytes at once, and cannot overflow by a handful of ones.
    ssize_t written = write(terminal.wake, &one, sizeof one);
    (void)written;
}

// The handlers call nothing but what signal-safety(7) lists, and sched_yield(2), which is a bare system call.

static void on_fatal(int number) {
    sigset_t mask;
    lock(&mask);
    terminal.hands_off = true;
    restore();
    unlock(&mask);
    // Now what would have happened without this handler, which by default is the end. The signal is blocked until the
    // handler returns.
    sigaction(number, &terminal.before[number], NULL);
    raise(number);
}

static void on_stop(int number) {
    int error = errno;
    sigset_t mask;
    lock(&mask);
    terminal.hands_off = true;
    restore();
    unlock(&mask);
    // Stop as by default: all threads, and not at all in an orphaned process group.
    struct sigaction stop = {.sa_handler = SIG_DFL}, mine;
    sigset_t this, others;
    sigemptyset(&stop.sa_mask);
    sigemptyset(&this);
    sigaddset(&this, number);
    sigaction(number, &stop, &mine);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &this, &others); // where it stops
    pthread_sigmask(SIG_SETMASK, &others, NULL);
    sigaction(number, &mine, NULL);
    lock(&mask);
    if (terminal.taken) {
        terminal.hands_off = false;
        wake();
    }
    unlock(&mask);
    errno = error;
}

static void on_continue(int number) {
    (void)number;
    int error = errno;
    sigset_t mask;
    lock(&mask);
    if (terminal.taken) {
        terminal.stale = true;
        wake();
    }
    unlock(&mask);
    errno = error;
}

// A signal that somebody ignores stays ignored. One that somebody handles stays theirs, unless `in_front`: then their
// handler comes second.
static void handle(int number, void (*handler)(int), bool in_front) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    struct sigaction *before = &terminal.before[number];
    if (sigaction(number, NULL, before) < 0) return;
    bool is_default = !(before->sa_flags & SA_SIGINFO) && before->sa_handler == SIG_DFL;
    bool is_ignored = !(before->sa_flags & SA_SIGINFO) && before->sa_handler == SIG_IGN;
    if (is_default || (in_front && !is_ignored)) sigaction(number, &action, NULL);
}

static void unhandle(int number, void (*handler)(int)) {
    struct sigaction current;
    if (sigaction(number, NULL, &current) < 0) return;
    if (current.sa_handler == handler) sigaction(number, &terminal.before[number], NULL);
}

int ckvm_terminal_take_over(int fd, int wake) {
    static bool is_registered;
    sigset_t mask;
    lock(&mask);
    int result = terminal.taken ? -EBUSY : 0;
    if (result == 0) {
        terminal.fd = fd;
        terminal.wake = wake;
        terminal.taken = true;
        terminal.known = terminal.raw = terminal.stale = terminal.hands_off = false;
        for (size_t index = 0; index < COUNT(crash_signals); index++) handle(crash_signals[index], on_fatal, true);
        for (size_t index = 0; index < COUNT(ending_signals); index++) handle(ending_signals[index], on_fatal, false);
        handle(SIGTSTP, on_stop, false);
        handle(SIGCONT, on_continue, false);
        if (!is_registered) is_registered = atexit(ckvm_terminal_release) == 0;
    }
    unlock(&mask);
    return result;
}

// With the lock held. What was found is noted once, when the terminal is ours: while it was the shell's, it was in the
// modes of the shell's line editor.
static int learn_modes(void) {
    if (terminal.known) return 0;
    if (tcgetattr(terminal.fd, &terminal.found) < 0) return -errno;
    terminal.raw_modes = terminal.found;
    cfmakeraw(&terminal.raw_modes);
    terminal.raw_modes.c_cc[VMIN] = 1;
    terminal.raw_modes.c_cc[VTIME] = 0;
    terminal.known = true;
    return 0;
}

int ckvm_terminal_make_raw(void) {
    sigset_t mask;
    lock(&mask);
    int result = 0;
    if (terminal.taken && !terminal.hands_off && ckvm_is_foreground(terminal.fd)) {
        result = 1;
        if (!terminal.raw || terminal.stale) {
            result = learn_modes();
            // Type-ahead is kept: it is for the guest.
            if (result == 0) result = tcsetattr(terminal.fd, TCSANOW, &terminal.raw_modes) < 0 ? -errno : 1;
            if (result == 1) {
                terminal.raw = true;
                terminal.stale = false;
            }
        }
    }
    unlock(&mask);
    return result;
}

bool ckvm_terminal_enter_screen(int fd) {
    static const char enter[] = "\x1b[?1049h\x1b[?25l\x1b[2J";
    sigset_t mask;
    lock(&mask);
    bool result = terminal.taken && !terminal.hands_off;
    if (result && terminal.screen < 0) {
        terminal.screen = fd;
        ssize_t written = write(fd, enter, sizeof enter - 1);
        (void)written;
    }
    unlock(&mask);
    return result;
}

bool ckvm_terminal_is_raw(void) {
    sigset_t mask;
    lock(&mask);
    bool result = terminal.raw;
    unlock(&mask);
    return result;
}

void ckvm_terminal_release(void) {
    sigset_t mask;
    lock(&mask);
    if (terminal.taken) {
        restore();
        terminal.taken = false;
        for (size_t index = 0; index < COUNT(crash_signals); index++) unhandle(crash_signals[index], on_fatal);
        for (size_t index = 0; index < COUNT(ending_signals); index++) unhandle(ending_signals[index], on_fatal);
        unhandle(SIGTSTP, on_stop);
        unhandle(SIGCONT, on_continue);
    }
    unlock(&mask);
}
