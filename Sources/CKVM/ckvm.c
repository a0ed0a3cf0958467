#define _GNU_SOURCE // CPU_SET, ppoll, pthread_setaffinity_np, pthread_setname_np, strerrorname_np, strerrordesc_np

#include "ckvm.h"

#include <cpuid.h>
#include <limits.h>
#include <linux/futex.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

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

int64_t ckvm_thread_time(pthread_t thread) {
    clockid_t clock;
    struct timespec time;
    int result = pthread_getcpuclockid(thread, &clock);
    if (result != 0)
        return -result;
    if (clock_gettime(clock, &time) < 0)
        return -errno;
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

int ckvm_kick(pthread_t thread) {
    return -pthread_kill(thread, CKVM_KICK_SIGNAL);
}

// Whichever the process is linked with: those of the C++ library and of Swift's runtime.
// Source: Itanium C++ ABI, "Demangler API"; Swift, include/swift/Demangling/Demangle.h.
extern char *__cxa_demangle(const char *, char *, size_t *, int *) __attribute__((weak));
extern char *swift_demangle(const char *, size_t, char *, size_t *, uint32_t) __attribute__((weak));

char *ckvm_demangle_cxx(const char *name) {
    return __cxa_demangle ? __cxa_demangle(name, NULL, NULL, NULL) : NULL;
}

char *ckvm_demangle_swift(const char *name) {
    return swift_demangle ? swift_demangle(name, strlen(name), NULL, NULL, 0) : NULL;
}

const char *ckvm_errno_name(int number) {
    return strerrorname_np(number);
}

const char *ckvm_errno_description(int number) {
    return strerrordesc_np(number);
}

// Not inline: a module that includes cpuid.h makes Swift take the C library's struct timespec for the compiler's own.
struct ckvm_cpuid_result ckvm_host_cpuid(uint32_t leaf, uint32_t subleaf) {
    struct ckvm_cpuid_result result;
    __cpuid_count(leaf, subleaf, result.eax, result.ebx, result.ecx, result.edx);
    return result;
}

int ckvm_map_anonymous(size_t size, void **address) {
    size_t extra = size >= CKVM_LARGE_MEMORY && size <= SIZE_MAX - CKVM_LARGE_PAGE ? CKVM_LARGE_PAGE : 0;
    char *start = mmap(
        NULL, size + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return -errno;
    if (extra > 0) {
        // What is too much before and after goes back, in whole pages, so that `size` bytes are what there is to unmap.
        size_t before = -(uintptr_t)start % CKVM_LARGE_PAGE;
        if (before > 0) munmap(start, before);
        start += before;
        if (before < extra) munmap(start + size, extra - before);
        madvise(start, size, MADV_HUGEPAGE);
    }
    // What a guest keeps there goes into no core file and to no child.
    madvise(start, size, MADV_DONTDUMP);
    madvise(start, size, MADV_DONTFORK);
    *address = start;
    return 0;
}

int ckvm_map_sparse(size_t size, void **address) {
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return -errno;
    madvise(start, size, MADV_NOHUGEPAGE);
    *address = start;
    return 0;
}

void ckvm_populate(void *address, size_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    // Whole pages: nothing in them changes.
    uintptr_t start = (uintptr_t)address & -page;
    uintptr_t end = ((uintptr_t)address + size + page - 1) & -page;
    madvise((void *)start, end - start, MADV_HUGEPAGE);
    madvise((void *)start, end - start, MADV_POPULATE_WRITE);
}

int ckvm_pidfd(int32_t process) {
    // The kernel sets close-on-exec.
    long fd = syscall(SYS_pidfd_open, process, 0);
    return fd < 0 ? -errno : (int)fd;
}

int ckvm_eventfd(void) {
    int fd = eventfd(0, EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void ckvm_use_one_heap(void) {
    mallopt(M_ARENA_MAX, 1);
}

// How many peers may wait to be accepted.
#define CKVM_BACKLOG 8

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

// Fills in the address of a path. Returns 0, or -errno.
static int path_address(const char *path, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0) return -EINVAL;
    if (length >= sizeof address->sun_path) return -ENAMETOOLONG;
    memcpy(address->sun_path, path, length);
    return 0;
}

// Makes a socket and binds it, or connects it. Returns the descriptor, or -errno.
static int make_socket(const struct sockaddr *address, socklen_t size, bool listens) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int one = 1;
    int result;
    if (!listens) {
        result = connect(fd, address, size);
    } else {
        if (address->sa_family == AF_INET) (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        // A socket's file gets the mode of the socket, less what the umask takes.
        else (void)fchmod(fd, S_IRUSR | S_IWUSR);
        result = bind(fd, address, size);
        if (result == 0) result = listen(fd, CKVM_BACKLOG);
    }
    if (result == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

int ckvm_listen_loopback(uint16_t port) {
    struct sockaddr_in address = loopback(port);
    return make_socket((const struct sockaddr *)&address, sizeof address, true);
}

int ckvm_listen_path(const char *path) {
    struct sockaddr_un address;
    int result = path_address(path, &address);
    return result < 0 ? result : make_socket((const struct sockaddr *)&address, sizeof address, true);
}

int ckvm_listening_port(int fd) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) return -errno;
    return ntohs(address.sin_port);
}

int ckvm_accept(int fd, int seconds) {
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0) return -errno;
    int one = 1;
    // Only where it is TCP; elsewhere nothing is held back.
    (void)setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct timeval limit = {.tv_sec = seconds};
    (void)setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return peer;
}

int ckvm_accept_nonblocking(int fd) {
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return peer < 0 ? -errno : peer;
}

int ckvm_connect_loopback(uint16_t port) {
    struct sockaddr_in address = loopback(port);
    return make_socket((const struct sockaddr *)&address, sizeof address, false);
}

int ckvm_connect_path(const char *path) {
    struct sockaddr_un address;
    int result = path_address(path, &address);
    return result < 0 ? result : make_socket((const struct sockaddr *)&address, sizeof address, false);
}

ssize_t ckvm_send(int fd, const void *bytes, size_t count) {
    ssize_t result = send(fd, bytes, count, MSG_NOSIGNAL);
    return result < 0 ? -errno : result;
}

int ckvm_poll(struct pollfd *descriptors, nfds_t count, int64_t seconds, int64_t nanoseconds) {
    struct timespec timeout = {.tv_sec = seconds, .tv_nsec = nanoseconds};
    int result = ppoll(descriptors, count, seconds < 0 ? NULL : &timeout, NULL);
    return result < 0 ? -errno : result;
}

int ckvm_timerfd(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int ckvm_start_timer(int fd, int64_t nanoseconds) {
    struct itimerspec time = {.it_value = {.tv_nsec = nanoseconds}};
    return timerfd_settime(fd, 0, &time, NULL) < 0 ? -errno : 0;
}

void ckvm_futex_wait(const uint32_t *word, uint32_t value, int64_t seconds, int64_t nanoseconds) {
    struct timespec timeout = {.tv_sec = seconds, .tv_nsec = nanoseconds};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, seconds < 0 ? NULL : &timeout, NULL, 0);
}

void ckvm_futex_wake_all(const uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void ckvm_set_thread_name(const char *name) {
    char shortened[16]; // the kernel's limit, with the terminating zero
    snprintf(shortened, sizeof shortened, "%s", name);
    pthread_setname_np(pthread_self(), shortened);
}

int ckvm_usable_cpus(uint64_t *mask, size_t size) {
    // The system call itself: the C library's function wants a cpu_set_t, which a longer mask is not.
    long result = syscall(SYS_sched_getaffinity, 0, size, mask);
    return result < 0 ? -errno : (int)result;
}

int ckvm_pin_thread(int cpu) {
    size_t size = CPU_ALLOC_SIZE(cpu + 1);
    cpu_set_t *set = CPU_ALLOC(cpu + 1);
    if (!set) return -ENOMEM;
    CPU_ZERO_S(size, set);
    CPU_SET_S(cpu, size, set);
    int result = -pthread_setaffinity_np(pthread_self(), size, set);
    CPU_FREE(set);
    return result;
}
