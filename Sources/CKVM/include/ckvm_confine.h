// What keeps a process that has been taken over from doing anything: no descriptors, privileges, system calls or files
// that the run does not need.
//
// Every function returns 0 or a value, or -errno. Source: Linux, Documentation/userspace-api/seccomp_filter.rst,
// landlock.rst and no_new_privs.rst; seccomp(2), capabilities(7), close_range(2), prctl(2).

#ifndef CKVM_CONFINE_H
#define CKVM_CONFINE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Closes all descriptors from `first` to `last`.
int ckvm_close_range(unsigned first, unsigned last);

// No program that this process executes gets more privileges than it has (PR_SET_NO_NEW_PRIVS); no core file and no
// debugger without privileges (PR_SET_DUMPABLE).
int ckvm_give_up_new_privileges(void);

// Drops all capabilities of the calling thread, those that others could be had from included.
int ckvm_drop_capabilities(void);

// The threads that a filter is for.
enum ckvm_filter {
    // All threads of the process, once every thread runs and every file is open.
    CKVM_FILTER_PROCESS,
    // A vCPU's thread, in addition.
    CKVM_FILTER_VCPU,
};

// The most instructions that a filter has: fewer than a jump reaches.
#define CKVM_FILTER_CAPACITY 255

// Makes a filter of system calls, for a CKVM_FILTER_CAPACITY of instructions, and returns how many it has.
int ckvm_make_filter(enum ckvm_filter filter, uint32_t permissions, struct sock_filter *code);

// Installs a filter of system calls: on all threads for CKVM_FILTER_PROCESS, else on the calling one. Another call ends
// the process by SIGSYS.
// CKVM_MAY_RENAME lets files be put at their places with renameat(2) and linkat(2); CKVM_MAY_TEST_KVM lets
// throw-away virtual machines be made; CKVM_MAY_DEBUG lets debuggers connect to a socket that listens, and look at x87
// registers; CKVM_MAY_USE_DISKS lets files that are open be read, written and flushed at any place; CKVM_MAY_USE_NETWORK
// lets frames be sent to a socket that is connected, and a TAP interface that is attached be told what they may be like;
// CKVM_MAY_SHARE lets files be opened and read, and CKVM_MAY_CHANGE_SHARES lets them be made, changed and removed;
// CKVM_MAY_SERVE lets peers connect to a socket that listens, and CKVM_MAY_CREATE lets files be made that are not there
// yet, to be written.
int ckvm_install_filter(enum ckvm_filter filter, uint32_t permissions);
#define CKVM_MAY_RENAME 1u
#define CKVM_MAY_TEST_KVM 2u
#define CKVM_MAY_DEBUG 4u
#define CKVM_MAY_USE_DISKS 8u
#define CKVM_MAY_USE_NETWORK 16u
#define CKVM_MAY_SHARE 32u
#define CKVM_MAY_CHANGE_SHARES 64u
#define CKVM_MAY_SERVE 128u
#define CKVM_MAY_CREATE 256u

// The version of Landlock's interface that the kernel has; -errno where it has none, or has it switched off.
int ckvm_landlock_version(void);

// A directory in which files may be made, removed and renamed, or read; or a file or directory that may be written to. One
// with both is a folder below which everything may be done but making devices and sockets.
struct ckvm_landlock_place {
    int descriptor;
    bool takes_files;
    bool is_read;
};

// Keeps the calling thread, and those that it starts, from the file system: from changing it for `reads_on`, else from
// reading it as well; but for some places.
int ckvm_restrict_files(bool reads_on, const struct ckvm_landlock_place *places, size_t count);

#endif
