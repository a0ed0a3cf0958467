// The time-stamp counter, CPUID of the host, and the system calls that Swift cannot call or that report through errno.

#ifndef CKVM_SYSTEM_H
#define CKVM_SYSTEM_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

// The time-stamp counter, in cycles. RDTSC is not ordered against its neighbors; a system call lies on either side.
static inline uint64_t ckvm_rdtsc(void) {
    return __builtin_ia32_rdtsc();
}

struct ckvm_cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

// CPUID as the host's processor answers it to this process.
struct ckvm_cpuid_result ckvm_host_cpuid(uint32_t leaf, uint32_t subleaf);

// open(2), close-on-exec. Returns the descriptor, or -errno.
static inline int ckvm_open(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

// What ckvm_open_regular() finds.
struct ckvm_file {
    uint64_t device, inode, size;
    uint32_t mode;    // as stat(2) has it
    bool is_synthetic; // whether the kernel makes up what is in it as it is read: /proc, /sys and the like
};

// Opens a regular file to read it, close-on-exec; what is none is not opened, so that no device or pipe notices. The path
// must lead over no symbolic link. What the descriptor leads to is what was looked at, whatever becomes of the path.
// Returns the descriptor, -EINVAL if there is no regular file but something else, which `file` tells, or -errno.
int ckvm_open_regular(const char *path, struct ckvm_file *file);

// A file that does not have a name yet, to be written and then put at a place in a directory.
//
// The name that it has meanwhile, in the same directory, is stored in `temporary`, of at least CKVM_NAME_SIZE bytes; an
// empty one if it has none at all (O_TMPFILE), so that nothing is left behind however the process ends. Returns the
// descriptor, close-on-exec, or -errno.
int ckvm_create_unnamed(int directory, const char *name, mode_t mode, char *temporary);
#define CKVM_NAME_SIZE 256

// The same for another file, in the way in which an earlier one was made, whose meanwhile's name is given: by openat(2)
// alone, with one of the flags below.
int ckvm_create_likewise(int directory, const char *name, mode_t mode, const char *earlier, char *temporary);
#define CKVM_UNNAMED_FILE (O_TMPFILE | O_WRONLY | O_CLOEXEC)
#define CKVM_NEW_FILE (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)

// Puts such a file at its place, in one step, in place of what is there. Returns 0, or -errno.
int ckvm_publish(int fd, int directory, const char *temporary, const char *name);

static inline int ckvm_close(int fd) {
    return close(fd) < 0 ? -errno : 0;
}

// Maps `size` bytes of `fd`, shared, readable and writable. Stores the address; returns 0, or -errno.
static inline int ckvm_map_shared(int fd, size_t size, void **address) {
    void *result = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (result == MAP_FAILED) return -errno;
    *address = result;
    return 0;
}

// Maps `size` bytes of fresh zero pages without reserving swap for them. Stores the address; returns 0, or -errno.
//
// From CKVM_LARGE_MEMORY on, it starts at a multiple of a large page's size, and the system is asked for large pages: KVM
// maps them as such only where guest-physical and host addresses agree below that size, and else a guest pays an exit
// for every 4 KiB that it touches. A small guest touches few pages; clearing large ones would take longer than its run.
int ckvm_map_anonymous(size_t size, void **address);

#define CKVM_LARGE_PAGE ((size_t)2 << 20)
#define CKVM_LARGE_MEMORY ((size_t)64 << 20)

// Maps `size` bytes of fresh zero pages of which few will be touched: never large ones, and without reserving swap. Stores
// the address; returns 0, or -errno.
int ckvm_map_sparse(size_t size, void **address);

// Has the system hand out the pages of some memory now, and large ones where it can, and not as they are touched. Where
// it cannot, as before Linux 5.14, they come as they are touched.
void ckvm_populate(void *address, size_t size);

// A name of C++ or Swift in the words of its language, which the caller frees; NULL when it is none, or when the process
// has no demangler of that language.
char *ckvm_demangle_cxx(const char *name);
char *ckvm_demangle_swift(const char *name);

// The name of an error number, such as "ENOENT", or NULL for a number that has none.
const char *ckvm_errno_name(int number);

// What an error number means, in words.
const char *ckvm_errno_description(int number);

// write(2). Returns the number of bytes, or -errno.
static inline ssize_t ckvm_write(int fd, const void *bytes, size_t count) {
    ssize_t result = write(fd, bytes, count);
    return result < 0 ? -errno : result;
}

// read(2). Returns the number of bytes, or -errno.
static inline ssize_t ckvm_read(int fd, void *bytes, size_t count) {
    ssize_t result = read(fd, bytes, count);
    return result < 0 ? -errno : result;
}

// pread(2). Returns the number of bytes, or -errno.
static inline ssize_t ckvm_pread(int fd, void *bytes, size_t count, int64_t offset) {
    ssize_t result = pread(fd, bytes, count, offset);
    return result < 0 ? -errno : result;
}

// preadv(2). Returns the number of bytes, or -errno.
static inline ssize_t ckvm_preadv(int fd, const struct iovec *parts, int count, int64_t offset) {
    ssize_t result = preadv(fd, parts, count, offset);
    return result < 0 ? -errno : result;
}

// pwritev(2). Returns the number of bytes, or -errno.
static inline ssize_t ckvm_pwritev(int fd, const struct iovec *parts, int count, int64_t offset) {
    ssize_t result = pwritev(fd, parts, count, offset);
    return result < 0 ? -errno : result;
}

// fdatasync(2). Returns 0, or -errno.
static inline int ckvm_fdatasync(int fd) {
    return fdatasync(fd) < 0 ? -errno : 0;
}

// getrandom(2) of what never blocks once the system has started. Returns the number of bytes, or -errno.
ssize_t ckvm_random(void *bytes, size_t count);

// What a disk's image is.
struct ckvm_disk {
    uint64_t size;         // bytes
    bool punches_holes;    // whether ckvm_punch_hole() works
};

// Opens a regular file or a block device as a disk, close-on-exec, and locks it: for this process alone, or for readers
// with `read_only`. Returns the descriptor; -EWOULDBLOCK when another process has it; -EINVAL for what is no such file; or
// -errno.
int ckvm_open_disk(const char *path, bool read_only, struct ckvm_disk *disk);

// fallocate(2): gives a stretch of a file back to the file system; it then reads as zeros. Returns 0, or -errno.
int ckvm_punch_hole(int fd, int64_t offset, int64_t size);

// fallocate(2): makes a stretch of a file zeros, which stay allocated. Returns 0, or -errno.
int ckvm_zero_range(int fd, int64_t offset, int64_t size);

// A new eventfd(2) at zero, close-on-exec. Returns the descriptor, or -errno.
int ckvm_eventfd(void);

// A stream socket that listens, close-on-exec: on the loopback address at a port (0 for any that is free),
// or at a path, for this user alone. Returns the descriptor, or -errno; -ENAMETOOLONG for a path that no socket can have.
int ckvm_listen_loopback(uint16_t port);
int ckvm_listen_path(const char *path);

// The port that a socket of the loopback address listens at. Returns it, or -errno.
int ckvm_listening_port(int fd);

// accept(2), close-on-exec. What is sent comes out at once, and a peer that reads nothing for `seconds` makes a send fail.
// Returns the descriptor, or -errno.
int ckvm_accept(int fd, int seconds);

// The same for a peer that is neither waited for when it is read from nor when it is sent to.
int ckvm_accept_nonblocking(int fd);

// connect(2) to a port of the loopback address, or to a path. Returns the descriptor, or -errno. For tests.
int ckvm_connect_loopback(uint16_t port);
int ckvm_connect_path(const char *path);

// send(2) without SIGPIPE. Returns the number of bytes, or -errno.
ssize_t ckvm_send(int fd, const void *bytes, size_t count);

// pidfd_open(2): a descriptor that can be read from when the process has ended. Returns it, or -errno.
int ckvm_pidfd(int32_t process);

// A new timerfd(2) of the monotonic clock that does not run, close-on-exec. Returns the descriptor, or -errno.
int ckvm_timerfd(void);

// Lets a timerfd expire once, so many nanoseconds from now: more than none, and less than a second. Returns 0, or
// -errno.
int ckvm_start_timer(int fd, int64_t nanoseconds);

// ppoll(2), for at most the given time; for as long as it takes if `seconds` is negative. Returns the number of
// descriptors that something is to be said of, or -errno.
int ckvm_poll(struct pollfd *descriptors, nfds_t count, int64_t seconds, int64_t nanoseconds);

// Sleeps while the word at the address has the given value, for at most the given time; for as long as it takes if
// `seconds` is negative. It may return early.
void ckvm_futex_wait(const uint32_t *word, uint32_t value, int64_t seconds, int64_t nanoseconds);

// Wakes all that sleep on the word at the address.
void ckvm_futex_wake_all(const uint32_t *word);

// Has all threads allocate from one heap: for a program whose threads allocate little, before it starts any. The C
// library makes others for threads, takes 64 MiB of addresses for each, and opens a file in /proc when it gives memory of
// them back.
void ckvm_use_one_heap(void);

// Names the calling thread, as far as 15 bytes go.
void ckvm_set_thread_name(const char *name);

// Fills a bit mask with the CPUs that the calling thread may use. Returns the number of bytes that the kernel
// wrote, or -errno.
int ckvm_usable_cpus(uint64_t *mask, size_t size);

// Keeps the calling thread on one CPU. Returns 0, or -errno.
int ckvm_pin_thread(int cpu);

// Installs a handler that does nothing for the signal that kicks vCPUs, without SA_RESTART: system calls that the
// signal interrupts return EINTR. Returns 0, or -errno.
int ckvm_install_kick_handler(void);

// The processor time that a thread of this process has used so far, in nanoseconds; or -errno. Before it is joined.
int64_t ckvm_thread_time(pthread_t thread);

// Sends that signal to a thread. Returns 0, or -errno.
int ckvm_kick(pthread_t thread);

#endif
