#define _GNU_SOURCE

#include "ckvm.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>

int ckvm_close_range(unsigned first, unsigned last) {
    if (first > last) return 0;
    if (syscall(SYS_close_range, first, last, 0) == 0) return 0;
    // Before Linux 5.9: as many as a process usually may have.
    long limit = sysconf(_SC_OPEN_MAX);
    if (limit < 0 || limit > 65536) limit = 65536;
    for (unsigned fd = first; fd <= last && fd < (unsigned)limit; fd++) close((int)fd);
    return 0;
}

int ckvm_give_up_new_privileges(void) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int ckvm_drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

// A filter as it grows.
struct ckvm_program {
    struct sock_filter code[256];
    unsigned short count;
};

static void ckvm_emit(struct ckvm_program *program, struct sock_filter instruction) {
    if (program->count < sizeof program->code / sizeof *program->code) program->code[program->count++] = instruction;
}

static void ckvm_emit_load(struct ckvm_program *program, uint32_t offset) {
    ckvm_emit(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static void ckvm_emit_return(struct ckvm_program *program, uint32_t action) {
    ckvm_emit(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

// Lets the call through if what was loaded is this number.
static void ckvm_emit_allow(struct ckvm_program *program, uint32_t number) {
    ckvm_emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    ckvm_emit_return(program, SECCOMP_RET_ALLOW);
}

static void ckvm_emit_allow_all(struct ckvm_program *program, const uint32_t *numbers, size_t count) {
    for (size_t index = 0; index < count; index++) ckvm_emit_allow(program, numbers[index]);
}

#define ARGUMENT(index) (offsetof(struct seccomp_data, args) + 8 * (index))
#define NUMBER offsetof(struct seccomp_data, nr)

// For a call that is let through by the low half of one of its arguments alone.
static void ckvm_emit_case(
    struct ckvm_program *program, uint32_t call, int argument, const uint32_t *values, size_t count) {
    // Two instructions for each value, one to load it, one for all others.
    ckvm_emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, (uint8_t)(2 * count + 2)));
    ckvm_emit_load(program, (uint32_t)ARGUMENT(argument));
    ckvm_emit_allow_all(program, values, count);
    ckvm_emit_return(program, SECCOMP_RET_KILL_PROCESS);
}

// For mmap(2) and mprotect(2), which take what the memory is for as their third argument: not to be executed.
static void ckvm_emit_memory(struct ckvm_program *program, uint32_t call) {
    ckvm_emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4));
    ckvm_emit_load(program, (uint32_t)ARGUMENT(2));
    ckvm_emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
    ckvm_emit_return(program, SECCOMP_RET_KILL_PROCESS);
    ckvm_emit_return(program, SECCOMP_RET_ALLOW);
}

// What every thread may do that allocates, waits and writes to what is open.
static const uint32_t common_calls[] = {
    SYS_read, SYS_write, SYS_futex, SYS_ppoll, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_clock_gettime, SYS_munmap,
    SYS_madvise, SYS_brk, SYS_mremap, SYS_timerfd_settime, SYS_tgkill, SYS_gettid, SYS_getpid, SYS_sched_yield,
    SYS_sched_setaffinity, SYS_sched_getaffinity, SYS_restart_syscall, SYS_close, SYS_pread64, SYS_getrandom,
    SYS_clock_nanosleep, SYS_set_robust_list, SYS_rseq, SYS_exit, SYS_exit_group,
};
// What the command does besides: reading its input, ending, waiting for signals, looking at its terminal.
static const uint32_t process_calls[] = {
    SYS_rt_sigtimedwait, SYS_rt_sigaction, SYS_poll, SYS_pause, SYS_fstat, SYS_newfstatat, SYS_lseek, SYS_uname, SYS_readv,
    SYS_writev, SYS_getpgrp, SYS_sysinfo, SYS_gettimeofday, SYS_time, SYS_getrusage, SYS_sigaltstack,
};
static const uint32_t disk_calls[] = {SYS_preadv, SYS_pwritev, SYS_fdatasync, SYS_fallocate};
static const uint32_t rename_calls[] = {SYS_renameat, SYS_linkat, SYS_unlinkat};

// What an exit can need on its vCPU's thread.
static const uint32_t vcpu_requests[] = {
    KVM_RUN, KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_SET_GUEST_DEBUG, KVM_GET_CPUID2,
    KVM_IRQ_LINE, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, KVM_SET_MP_STATE, KVM_GET_MP_STATE, KVM_GET_MSRS,
    KVM_SET_MSRS, KVM_INTERRUPT,
};
// The same, what looks at a guest that is halted or has ended, and what a terminal is asked.
static const uint32_t process_requests[] = {
    KVM_RUN, KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS, KVM_SET_GUEST_DEBUG, KVM_GET_CPUID2,
    KVM_IRQ_LINE, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, KVM_SET_MP_STATE, KVM_GET_MP_STATE, KVM_GET_MSRS,
    KVM_SET_MSRS, KVM_INTERRUPT, KVM_GET_LAPIC, KVM_GET_IRQCHIP, KVM_GET_STATS_FD, KVM_GET_TSC_KHZ, KVM_CHECK_EXTENSION,
    TCGETS, TCSETS, TCSETSW, TCSETSF, TCFLSH, TIOCGPGRP, TIOCGWINSZ,
};
// What a throw-away virtual machine takes in addition: see the self-tests.
static const uint32_t test_requests[] = {
    KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_GET_VCPU_MMAP_SIZE, KVM_SET_USER_MEMORY_REGION, KVM_SET_TSS_ADDR,
    KVM_SET_IDENTITY_MAP_ADDR, KVM_GET_SUPPORTED_CPUID, KVM_SET_CPUID2, KVM_ENABLE_CAP,
};
// What a debugger is served with.
static const uint32_t debug_calls[] = {SYS_accept4, SYS_setsockopt, SYS_sendto};
static const uint32_t debug_requests[] = {KVM_GET_FPU, KVM_SET_FPU};
// Reading the places that exits come from, by the map's descriptor.
static const uint32_t bpf_commands[] = {BPF_MAP_LOOKUP_ELEM, BPF_MAP_GET_NEXT_KEY};
// Threads that have just been made name themselves.
static const uint32_t prctl_options[] = {PR_SET_NAME};
static const uint32_t seccomp_operations[] = {SECCOMP_SET_MODE_FILTER};

#define COUNT(list) (sizeof(list) / sizeof *(list))

int ckvm_install_filter(enum ckvm_filter filter, uint32_t permissions) {
    bool is_process = filter == CKVM_FILTER_PROCESS;
    struct ckvm_program program = {.count = 0};
    ckvm_emit_load(&program, offsetof(struct seccomp_data, arch));
    ckvm_emit(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
    ckvm_emit_return(&program, SECCOMP_RET_KILL_PROCESS);
    ckvm_emit_load(&program, NUMBER);

    // ioctl(2) first, and KVM_RUN first of it: that is what a run does most.
    uint32_t requests[COUNT(process_requests) + COUNT(test_requests) + COUNT(debug_requests)];
    size_t count = 0;
    for (size_t index = 0; is_process && index < COUNT(process_requests); index++) requests[count++] = process_requests[index];
    for (size_t index = 0; !is_process && index < COUNT(vcpu_requests); index++) requests[count++] = vcpu_requests[index];
    for (size_t index = 0; is_process && (permissions & CKVM_MAY_TEST_KVM) && index < COUNT(test_requests); index++)
        requests[count++] = test_requests[index];
    bool may_debug = is_process && (permissions & CKVM_MAY_DEBUG);
    for (size_t index = 0; may_debug && index < COUNT(debug_requests); index++) requests[count++] = debug_requests[index];
    ckvm_emit_case(&program, SYS_ioctl, 1, requests, count);

    ckvm_emit_allow_all(&program, common_calls, COUNT(common_calls));
    ckvm_emit_memory(&program, SYS_mmap);
    ckvm_emit_memory(&program, SYS_mprotect);
    if (is_process) {
        ckvm_emit_allow_all(&program, process_calls, COUNT(process_calls));
        if (permissions & CKVM_MAY_RENAME) ckvm_emit_allow_all(&program, rename_calls, COUNT(rename_calls));
        if (permissions & CKVM_MAY_USE_DISKS) ckvm_emit_allow_all(&program, disk_calls, COUNT(disk_calls));
        if (may_debug) ckvm_emit_allow_all(&program, debug_calls, COUNT(debug_calls));
        ckvm_emit_case(&program, SYS_bpf, 0, bpf_commands, COUNT(bpf_commands));
        ckvm_emit_case(&program, SYS_prctl, 0, prctl_options, COUNT(prctl_options));
        ckvm_emit_case(&program, SYS_seccomp, 0, seccomp_operations, COUNT(seccomp_operations));
    }
    ckvm_emit_return(&program, SECCOMP_RET_KILL_PROCESS);
    if (program.count == COUNT(program.code)) return -E2BIG;

    struct sock_fprog installed = {.len = program.count, .filter = program.code};
    unsigned flags = is_process ? SECCOMP_FILTER_FLAG_TSYNC : 0;
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &installed);
    // A number above 0 is that of a thread which could not be brought along.
    return result < 0 ? -errno : result > 0 ? -EBUSY : 0;
}

int ckvm_landlock_version(void) {
    long result = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return result < 0 ? -errno : (int)result;
}

// Rights that <linux/landlock.h> of older kernels does not name.
#define CKVM_ACCESS_TRUNCATE (1ull << 14)
#define CKVM_ACCESS_IOCTL_DEV (1ull << 15)

int ckvm_restrict_files(bool reads_on, const struct ckvm_landlock_place *places, size_t count) {
    int version = ckvm_landlock_version();
    if (version < 0) return version;
    uint64_t files = LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;
    uint64_t writes = LANDLOCK_ACCESS_FS_WRITE_FILE | (version >= 3 ? CKVM_ACCESS_TRUNCATE : 0);
    uint64_t handled = files | writes | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR
        | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK
        | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
    if (!reads_on) handled |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    struct landlock_ruleset_attr attributes = {.handled_access_fs = handled};
    long ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0);
    if (ruleset < 0) return -errno;
    int error = 0;
    for (size_t index = 0; index < count && !error; index++) {
        uint64_t reads = (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR) & handled;
        // A rule that allows nothing is an error.
        if (places[index].is_read && !reads) continue;
        struct landlock_path_beneath_attr rule = {
            .allowed_access = places[index].is_read ? reads : places[index].takes_files ? files | writes : writes,
            .parent_fd = places[index].descriptor,
        };
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0) error = -errno;
    }
    if (!error && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0) error = -errno;
    close((int)ruleset);
    return error;
}
