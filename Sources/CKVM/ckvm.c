#define _GNU_SOURCE // strerrorname_np, strerrordesc_np

#include "ckvm.h"

// SIGUSR1 is left to applications that embed the library; the first real-time signals are taken by the C library.
#define CKVM_KICK_SIGNAL (SIGRTMIN + 1)

static void ckvm_kick_handler(int signal) {
    // Only its side effect is wanted: the system call that the thread was in returns EINTR.
    (void)signal;
}

int ckvm_install_kick_handler(void) {
    struct sigaction action = {.sa_handler = ckvm_kick_handler};
    sigemptyset(&action.sa_mask);
    return sigaction(CKVM_KICK_SIGNAL, &action, NULL) < 0 ? -errno : 0;
}

int ckvm_kick(pthread_t thread) {
    return -pthread_kill(thread, CKVM_KICK_SIGNAL);
}

const char *ckvm_errno_name(int number) {
    return strerrorname_np(number);
}

const char *ckvm_errno_description(int number) {
    return strerrordesc_np(number);
}
