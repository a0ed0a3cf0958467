#define _GNU_SOURCE // pipe2, NSIG

#include "ctest_support.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int ctest_open_terminal(int *master, int *slave) {
    if (openpty(master, slave, NULL, NULL, NULL) < 0) return -errno;
    fcntl(*master, F_SETFD, FD_CLOEXEC);
    fcntl(*slave, F_SETFD, FD_CLOEXEC);
    return 0;
}

int ctest_pipe(int *ends) {
    return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
}

// In the child: what is called must be safe after fork(2) in a program with threads.
static void become(char *const *arguments, char *const *environment, const int *files, int count,
                   enum ctest_place place) {
    int moved[8];
    if (count > 8) _exit(120);
    // Out of the way first, so that no file is overwritten before it was copied.
    for (int index = 0; index < count; index++) moved[index] = fcntl(files[index], F_DUPFD_CLOEXEC, 64);
    for (int index = 0; index < count; index++) {
        if (dup2(moved[index], index) < 0) _exit(121);
    }
    if (place == CTEST_NEW_SESSION && (setsid() < 0 || ioctl(0, TIOCSCTTY, 0) < 0)) _exit(122);
    if (place == CTEST_NEW_GROUP && setpgid(0, 0) < 0) _exit(123);
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    execve(arguments[0], arguments, environment);
    _exit(124);
}

pid_t ctest_spawn(char *const *arguments, char *const *environment, const int *files, int count,
                  enum ctest_place place) {
    pid_t child = fork();
    if (child == 0) become(arguments, environment, files, count, place);
    if (child < 0) return -errno;
    // Whichever of the two is first: when this returns, the group is there.
    if (place == CTEST_NEW_GROUP) setpgid(child, child);
    return child;
}

int ctest_wait(pid_t child, int or_stops) {
    int status;
    while (waitpid(child, &status, or_stops ? WUNTRACED : 0) < 0) {
        if (errno != EINTR) return -errno;
    }
    if (WIFSTOPPED(status)) return 2000 + WSTOPSIG(status);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

int ctest_set_foreground(int terminal, pid_t group) {
    // With SIGTTOU blocked, a process in the background may do it as well.
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTTOU);
    sigprocmask(SIG_BLOCK, &signals, &before);
    int result = tcsetpgrp(terminal, group) < 0 ? -errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}
