#define _GNU_SOURCE // gettid, O_PATH

#include "ckvm_bpf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// System calls of Linux 5.2, for C libraries that are older. Source: include/uapi/asm-generic/unistd.h.
#ifndef SYS_fsopen
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

// Of <linux/mount.h>, which cannot be included together with <sys/mount.h>.
#define FSOPEN_CLOSE_ON_EXEC 1
#define FSCONFIG_CREATE 6
#define FSMOUNT_CLOSE_ON_EXEC 1

static int bpf(int command, union bpf_attr *attr) {
    long result = syscall(SYS_bpf, command, attr, sizeof *attr);
    return result < 0 ? -errno : (int)result;
}

int ckvm_bpf_create_map(
    uint32_t type, uint32_t key_size, uint32_t value_size, uint32_t entries, uint32_t flags, const char *name) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.map_type = type;
    attr.key_size = key_size;
    attr.value_size = value_size;
    attr.max_entries = entries;
    attr.map_flags = flags;
    strncpy(attr.map_name, name, sizeof attr.map_name - 1);
    return bpf(BPF_MAP_CREATE, &attr);
}

int ckvm_bpf_load_program(
    uint32_t type, const struct ckvm_bpf_instruction *instructions, uint32_t count, const char *name, char *log,
    uint32_t log_size) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.prog_type = type;
    attr.insns = (uintptr_t)instructions;
    attr.insn_cnt = count;
    // Functions that read the kernel's memory are for programs under this license alone. It says so of the programs
    // that are loaded, which are this project's own and may be had under it.
    attr.license = (uintptr_t) "GPL";
    strncpy(attr.prog_name, name, sizeof attr.prog_name - 1);
    if (log) {
        attr.log_buf = (uintptr_t)log;
        attr.log_size = log_size;
        attr.log_level = 1;
    }
    return bpf(BPF_PROG_LOAD, &attr);
}

int ckvm_bpf_update(int map, const void *key, const void *value) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.map_fd = map;
    attr.key = (uintptr_t)key;
    attr.value = (uintptr_t)value;
    return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

int ckvm_bpf_delete(int map, const void *key) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.map_fd = map;
    attr.key = (uintptr_t)key;
    return bpf(BPF_MAP_DELETE_ELEM, &attr);
}

int ckvm_bpf_next_key(int map, const void *key, void *next) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.map_fd = map;
    attr.key = (uintptr_t)key;
    attr.next_key = (uintptr_t)next;
    return bpf(BPF_MAP_GET_NEXT_KEY, &attr);
}

int ckvm_bpf_look_up(int map, const void *key, void *value) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.map_fd = map;
    attr.key = (uintptr_t)key;
    attr.value = (uintptr_t)value;
    return bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

int ckvm_bpf_attach_raw(const char *tracepoint, int program) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.raw_tracepoint.name = (uintptr_t)tracepoint;
    attr.raw_tracepoint.prog_fd = program;
    return bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
}

int ckvm_bpf_attach_classic(uint64_t tracepoint, int program) {
    struct perf_event_attr attr = {
        .type = PERF_TYPE_TRACEPOINT, .size = sizeof attr, .config = tracepoint, .disabled = 1};
    // The program runs on every CPU and for every task, whatever is said here; a disabled event costs nothing besides.
    long fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0) return -errno;
    if (ioctl((int)fd, PERF_EVENT_IOC_SET_BPF, program) < 0) {
        int error = errno;
        close((int)fd);
        return -error;
    }
    return (int)fd;
}

void ckvm_bpf_raise_memory_limit(void) {
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

int64_t ckvm_bpf_next_program(uint32_t id) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.start_id = id;
    int result = bpf(BPF_PROG_GET_NEXT_ID, &attr);
    return result < 0 ? (int64_t)result : (int64_t)attr.next_id;
}

int ckvm_tracefs(void) {
    int context = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOSE_ON_EXEC);
    if (context < 0) return -errno;
    int result = -1;
    if (syscall(SYS_fsconfig, context, FSCONFIG_CREATE, NULL, NULL, 0) == 0)
        result = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOSE_ON_EXEC, 0);
    if (result < 0) result = -errno;
    close(context);
    return result;
}

int ckvm_map_readable(int fd, size_t size, const void **address) {
    void *result = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (result == MAP_FAILED) return -errno;
    *address = result;
    return 0;
}

int ckvm_open_at(int directory, const char *path, int flags) {
    int fd = openat(directory, path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int ckvm_pid_namespace(int32_t process, uint64_t *device, uint64_t *inode) {
    struct stat status;
    char path[32] = "/proc/self/ns/pid";
    if (process != 0) snprintf(path, sizeof path, "/proc/%d/ns/pid", process);
    if (stat(path, &status) < 0) return -errno;
    // Inside the kernel a device's number has 12 bits for its major and 20 for its minor number.
    *device = (uint64_t)major(status.st_dev) << 20 | minor(status.st_dev);
    *inode = status.st_ino;
    return 0;
}

int ckvm_effective_capabilities(uint64_t *set) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capget, &header, data) < 0) return -errno;
    *set = (uint64_t)data[1].effective << 32 | data[0].effective;
    return 0;
}

int ckvm_user_namespace(uint64_t *inode) {
    struct stat status;
    if (stat("/proc/self/ns/user", &status) < 0) return -errno;
    *inode = status.st_ino;
    return 0;
}

int32_t ckvm_thread_id(void) {
    return (int32_t)syscall(SYS_gettid);
}
