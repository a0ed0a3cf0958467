#define _GNU_SOURCE

#include "ckvm.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>

// Installing a filter is most of what the confinement costs: the kernel compiles it, and looks up by it what becomes of
// every call there is. So numbers are searched for by halves, and all ways lead to one end. A call by its arguments is
// not looked up before, and ioctl(2) is what a run makes most of: it is compared first.

// Where a jump leads: on, or to one of the two ends.
enum ckvm_label { CKVM_ON, CKVM_ALLOW, CKVM_KILL };

// A filter as it grows.
struct ckvm_program {
    struct sock_filter code[CKVM_FILTER_CAPACITY];
    // Where the jumps lead that are set in the end.
    uint8_t if_true[CKVM_FILTER_CAPACITY], if_false[CKVM_FILTER_CAPACITY];
    size_t count;
};

static void ckvm_emit(struct ckvm_program *program, struct sock_filter instruction) {
    if (program->count < CKVM_FILTER_CAPACITY) program->code[program->count++] = instruction;
}

static void ckvm_emit_load(struct ckvm_program *program, uint32_t offset) {
    ckvm_emit(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static void ckvm_emit_jump(
    struct ckvm_program *program, uint16_t comparison, uint32_t value, enum ckvm_label if_true, enum ckvm_label if_false) {
    if (program->count == CKVM_FILTER_CAPACITY) return;
    program->if_true[program->count] = (uint8_t)if_true;
    program->if_false[program->count] = (uint8_t)if_false;
    ckvm_emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | comparison | BPF_K, value, 0, 0));
}

#define ARGUMENT(index) (offsetof(struct seccomp_data, args) + 8 * (index))
#define NUMBER offsetof(struct seccomp_data, nr)
#define COUNT(list) (sizeof(list) / sizeof *(list))

// For a call that is let through by the low half of one of its arguments alone.
static void ckvm_emit_case(
    struct ckvm_program *program, uint32_t call, int argument, const uint32_t *values, size_t count) {
    // Past the load and the comparisons for all other calls.
    ckvm_emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, (uint8_t)(count + 1)));
    ckvm_emit_load(program, (uint32_t)ARGUMENT(argument));
    for (size_t index = 0; index < count; index++)
        ckvm_emit_jump(program, BPF_JEQ, values[index], CKVM_ALLOW, index + 1 == count ? CKVM_KILL : CKVM_ON);
}

// For mmap(2) and mprotect(2), which take what the memory is for as their third argument: not to be executed.
static void ckvm_emit_memory(struct ckvm_program *program) {
    ckvm_emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0));
    ckvm_emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 2));
    ckvm_emit_load(program, (uint32_t)ARGUMENT(2));
    ckvm_emit_jump(program, BPF_JSET, PROT_EXEC, CKVM_KILL, CKVM_ALLOW);
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
static const uint32_t network_calls[] = {SYS_sendmsg};
// What a folder that is shared takes to be read, and besides to be changed. A thread gets a umask of its own.
static const uint32_t share_calls[] = {
    SYS_openat2, SYS_statx, SYS_getdents64, SYS_readlinkat, SYS_fstatfs, SYS_preadv, SYS_fsync, SYS_fdatasync,
};
static const uint32_t share_changes[] = {
    SYS_pwritev, SYS_fallocate, SYS_ftruncate, SYS_mkdirat, SYS_mknodat, SYS_symlinkat, SYS_linkat, SYS_unlinkat,
    SYS_renameat2, SYS_fchmodat, SYS_fchownat, SYS_utimensat, SYS_syncfs, SYS_dup, SYS_umask,
};
static const uint32_t unshare_flags[] = {CLONE_FS};
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
// Serving whoever connects to a socket that listens, and what a debugger takes besides.
static const uint32_t serve_calls[] = {SYS_accept4, SYS_sendto};
static const uint32_t debug_calls[] = {SYS_setsockopt};
// New files, as openat(2) makes them: neither way opens one that is there.
static const uint32_t creation_flags[] = {CKVM_UNNAMED_FILE, CKVM_NEW_FILE};
static const uint32_t debug_requests[] = {KVM_GET_FPU, KVM_SET_FPU};
// What a network interface is told when a guest's driver starts.
static const uint32_t network_requests[] = {TUNSETOFFLOAD};
// Reading the places that exits come from, by the map's descriptor.
static const uint32_t bpf_commands[] = {BPF_MAP_LOOKUP_ELEM, BPF_MAP_GET_NEXT_KEY};
// Threads that have just been made name themselves.
static const uint32_t prctl_options[] = {PR_SET_NAME};
static const uint32_t seccomp_operations[] = {SECCOMP_SET_MODE_FILTER};


// Numbers as they are put together.
struct ckvm_numbers {
    uint32_t values[CKVM_FILTER_CAPACITY];
    size_t count;
};

static void ckvm_add(struct ckvm_numbers *numbers, const uint32_t *more, size_t count) {
    for (size_t index = 0; index < count && numbers->count < COUNT(numbers->values); index++)
        numbers->values[numbers->count++] = more[index];
}

static void ckvm_sort(struct ckvm_numbers *numbers) {
    for (size_t index = 1; index < numbers->count; index++) {
        uint32_t value = numbers->values[index];
        size_t place = index;
        for (; place > 0 && numbers->values[place - 1] > value; place--)
            numbers->values[place] = numbers->values[place - 1];
        numbers->values[place] = value;
    }
}

// Numbers that follow each other.
struct ckvm_range {
    uint32_t first, last;
};

// Lets the calls of some ranges through, which are in order, and no other. As deep as the logarithm of their number.
//
// `reaches_first` is whether only numbers from the first range's first on come here.
static void ckvm_emit_search(
    struct ckvm_program *program, const struct ckvm_range *ranges, size_t count, bool reaches_first) {
    if (count > 1) {
        size_t half = count / 2, place = program->count;
        ckvm_emit_jump(program, BPF_JGE, ranges[half].first, CKVM_ON, CKVM_ON);
        ckvm_emit_search(program, ranges, half, reaches_first);
        if (place < CKVM_FILTER_CAPACITY) program->code[place].jt = (uint8_t)(program->count - place - 1);
        ckvm_emit_search(program, ranges + half, count - half, true);
    } else if (ranges->first == ranges->last) {
        ckvm_emit_jump(program, BPF_JEQ, ranges->first, CKVM_ALLOW, CKVM_KILL);
    } else {
        if (!reaches_first) ckvm_emit_jump(program, BPF_JGE, ranges->first, CKVM_ON, CKVM_KILL);
        ckvm_emit_jump(program, BPF_JGT, ranges->last, CKVM_KILL, CKVM_ALLOW);
    }
}

static void ckvm_emit_calls(struct ckvm_program *program, struct ckvm_numbers *calls) {
    struct ckvm_range ranges[CKVM_FILTER_CAPACITY];
    size_t count = 0;
    ckvm_sort(calls);
    for (size_t index = 0; index < calls->count; index++) {
        uint32_t call = calls->values[index];
        if (count > 0 && call <= ranges[count - 1].last + 1) ranges[count - 1].last = call;
        else ranges[count++] = (struct ckvm_range){call, call};
    }
    ckvm_emit_search(program, ranges, count, false);
}

// Puts the two ends where they are, and the jumps to them.
static void ckvm_end(struct ckvm_program *program) {
    size_t allow = program->count, kill = allow + 1;
    ckvm_emit(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    ckvm_emit(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    for (size_t index = 0; index < allow; index++) {
        struct sock_filter *jump = &program->code[index];
        if (program->if_true[index] != CKVM_ON)
            jump->jt = (uint8_t)((program->if_true[index] == CKVM_ALLOW ? allow : kill) - index - 1);
        if (program->if_false[index] != CKVM_ON)
            jump->jf = (uint8_t)((program->if_false[index] == CKVM_ALLOW ? allow : kill) - index - 1);
    }
}

int ckvm_make_filter(enum ckvm_filter filter, uint32_t permissions, struct sock_filter *code) {
    bool is_process = filter == CKVM_FILTER_PROCESS;
    bool may_debug = is_process && (permissions & CKVM_MAY_DEBUG);
    bool may_use_network = is_process && (permissions & CKVM_MAY_USE_NETWORK);
    struct ckvm_program program = {.count = 0};
    ckvm_emit_load(&program, offsetof(struct seccomp_data, arch));
    ckvm_emit_jump(&program, BPF_JEQ, AUDIT_ARCH_X86_64, CKVM_ON, CKVM_KILL);
    ckvm_emit_load(&program, NUMBER);

    // KVM_RUN stands first of them.
    struct ckvm_numbers requests = {.count = 0}, calls = {.count = 0};
    if (is_process) ckvm_add(&requests, process_requests, COUNT(process_requests));
    else ckvm_add(&requests, vcpu_requests, COUNT(vcpu_requests));
    if (is_process && (permissions & CKVM_MAY_TEST_KVM)) ckvm_add(&requests, test_requests, COUNT(test_requests));
    if (may_debug) ckvm_add(&requests, debug_requests, COUNT(debug_requests));
    if (may_use_network) ckvm_add(&requests, network_requests, COUNT(network_requests));
    ckvm_emit_case(&program, SYS_ioctl, 1, requests.values, requests.count);

    ckvm_emit_memory(&program);
    ckvm_add(&calls, common_calls, COUNT(common_calls));
    if (is_process) {
        ckvm_add(&calls, process_calls, COUNT(process_calls));
        if (permissions & CKVM_MAY_RENAME) ckvm_add(&calls, rename_calls, COUNT(rename_calls));
        if (permissions & CKVM_MAY_USE_DISKS) ckvm_add(&calls, disk_calls, COUNT(disk_calls));
        if (may_debug) ckvm_add(&calls, debug_calls, COUNT(debug_calls));
        if (may_use_network) ckvm_add(&calls, network_calls, COUNT(network_calls));
        if (permissions & CKVM_MAY_SHARE) ckvm_add(&calls, share_calls, COUNT(share_calls));
        if (permissions & CKVM_MAY_CHANGE_SHARES) {
            ckvm_add(&calls, share_changes, COUNT(share_changes));
            ckvm_emit_case(&program, SYS_unshare, 0, unshare_flags, COUNT(unshare_flags));
        }
        if (may_debug || (permissions & CKVM_MAY_SERVE)) ckvm_add(&calls, serve_calls, COUNT(serve_calls));
        if (permissions & CKVM_MAY_CREATE)
            ckvm_emit_case(&program, SYS_openat, 2, creation_flags, COUNT(creation_flags));
        ckvm_emit_case(&program, SYS_bpf, 0, bpf_commands, COUNT(bpf_commands));
        ckvm_emit_case(&program, SYS_prctl, 0, prctl_options, COUNT(prctl_options));
        ckvm_emit_case(&program, SYS_seccomp, 0, seccomp_operations, COUNT(seccomp_operations));
    }
    ckvm_emit_calls(&program, &calls);
    ckvm_end(&program);
    if (program.count == CKVM_FILTER_CAPACITY) return -E2BIG;
    memcpy(code, program.code, program.count * sizeof *code);
    return (int)program.count;
}

int ckvm_install_filter(enum ckvm_filter filter, uint32_t permissions) {
    struct sock_filter code[CKVM_FILTER_CAPACITY];
    int count = ckvm_make_filter(filter, permissions, code);
    if (count < 0) return count;
    struct sock_fprog installed = {.len = (unsigned short)count, .filter = code};
    unsigned flags = filter == CKVM_FILTER_PROCESS ? SECCOMP_FILTER_FLAG_TSYNC : 0;
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &installed);
    // A number above 0 is that of a thread which could not be brought along.
    return result < 0 ? -errno : result > 0 ? -EBUSY : 0;
}
