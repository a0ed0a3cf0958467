#define _GNU_SOURCE

#include "ckvm.h"

#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

// The calls are made by number, so that they are those that the filter lets through, whatever the C library's functions
// of these names do.

static int ckvm_result(long result) {
    return result < 0 ? -errno : (int)result;
}

// The name of a descriptor in /proc/self/fd.
struct ckvm_number {
    char text[12];
};

static struct ckvm_number ckvm_number(int fd) {
    struct ckvm_number number;
    snprintf(number.text, sizeof number.text, "%d", fd);
    return number;
}

int ckvm_share_folder(const char *path) {
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int ckvm_share_descriptors(void) {
    return ckvm_share_folder("/proc/self/fd");
}

int ckvm_share_below(int folder, const char *path, int flags, uint32_t mode) {
    struct open_how how = {
        .flags = (uint64_t)(uint32_t)(flags | O_NOFOLLOW | O_CLOEXEC), .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    return ckvm_result(syscall(SYS_openat2, folder, path, &how, sizeof how));
}

int ckvm_share_place(int folder, const char *path) {
    return ckvm_share_below(folder, path, O_PATH, 0);
}

int ckvm_share_open(int descriptors, int place, int flags) {
    struct open_how how = {.flags = (uint64_t)(uint32_t)(flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
    return ckvm_result(syscall(SYS_openat2, descriptors, ckvm_number(place).text, &how, sizeof how));
}

int ckvm_share_stat(int place, struct ckvm_share_status *status) {
    struct statx found;
    if (syscall(SYS_statx, place, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &found) < 0) return -errno;
    *status = (struct ckvm_share_status){
        .inode = found.stx_ino, .size = found.stx_size, .blocks = found.stx_blocks,
        .access_time = found.stx_atime.tv_sec, .access_part = found.stx_atime.tv_nsec,
        .change_time = found.stx_mtime.tv_sec, .change_part = found.stx_mtime.tv_nsec,
        .status_time = found.stx_ctime.tv_sec, .status_part = found.stx_ctime.tv_nsec,
        .device_major = found.stx_dev_major, .device_minor = found.stx_dev_minor,
        .named_major = found.stx_rdev_major, .named_minor = found.stx_rdev_minor,
        .mode = found.stx_mode, .links = found.stx_nlink, .user = found.stx_uid, .group = found.stx_gid,
        .block_size = found.stx_blksize,
    };
    return 0;
}

int ckvm_share_statfs(int place, struct ckvm_share_system *system) {
    struct statfs found;
    if (syscall(SYS_fstatfs, place, &found) < 0) return -errno;
    *system = (struct ckvm_share_system){
        .blocks = found.f_blocks, .free_blocks = found.f_bfree, .available_blocks = found.f_bavail,
        .files = found.f_files, .free_files = found.f_ffree, .block_size = (uint32_t)found.f_bsize,
        .fragment_size = (uint32_t)found.f_frsize, .name_length = (uint32_t)found.f_namelen,
    };
    return 0;
}

ssize_t ckvm_share_entries(int folder, void *entries, size_t size) {
    long result = syscall(SYS_getdents64, folder, entries, size);
    return result < 0 ? -errno : result;
}

ssize_t ckvm_share_read_link(int place, void *target, size_t size) {
    long result = syscall(SYS_readlinkat, place, "", target, size);
    return result < 0 ? -errno : result;
}

int ckvm_share_set_mode(int descriptors, int fd, uint32_t mode) {
    return ckvm_result(syscall(SYS_fchmodat, descriptors, ckvm_number(fd).text, mode));
}

int ckvm_share_set_owner(int descriptors, int fd, uint32_t user, uint32_t group) {
    return ckvm_result(syscall(SYS_fchownat, descriptors, ckvm_number(fd).text, user, group, 0));
}

int ckvm_share_set_times(int descriptors, int fd, int64_t access_time, int64_t access_part, int64_t change_time,
    int64_t change_part) {
    struct timespec times[2] = {{access_time, access_part}, {change_time, change_part}};
    return ckvm_result(syscall(SYS_utimensat, descriptors, ckvm_number(fd).text, times, 0));
}

int ckvm_share_make_folder(int folder, const char *name, uint32_t mode) {
    return ckvm_result(syscall(SYS_mkdirat, folder, name, mode));
}

int ckvm_share_make_node(int folder, const char *name, uint32_t mode) {
    if (!S_ISREG(mode) && !S_ISFIFO(mode)) return -EPERM;
    return ckvm_result(syscall(SYS_mknodat, folder, name, mode, 0));
}

int ckvm_share_make_link(int folder, const char *name, const char *target) {
    return ckvm_result(syscall(SYS_symlinkat, target, folder, name));
}

int ckvm_share_add_name(int descriptors, int place, int folder, const char *name) {
    return ckvm_result(
        syscall(SYS_linkat, descriptors, ckvm_number(place).text, folder, name, AT_SYMLINK_FOLLOW));
}

int ckvm_share_remove(int folder, const char *name, bool is_folder) {
    return ckvm_result(syscall(SYS_unlinkat, folder, name, is_folder ? AT_REMOVEDIR : 0));
}

int ckvm_share_rename(int from, const char *name, int to, const char *new_name, uint32_t flags) {
    return ckvm_result(syscall(SYS_renameat2, from, name, to, new_name, flags));
}

int ckvm_share_set_size(int fd, int64_t size) {
    return ckvm_result(syscall(SYS_ftruncate, fd, size));
}

int ckvm_share_allocate(int fd, int mode, int64_t offset, int64_t size) {
    return ckvm_result(syscall(SYS_fallocate, fd, mode, offset, size));
}

int64_t ckvm_share_seek(int fd, int64_t offset, int whence) {
    long result = syscall(SYS_lseek, fd, offset, whence);
    return result < 0 ? -errno : result;
}

int ckvm_share_flush(int fd, bool data_alone) {
    return ckvm_result(data_alone ? syscall(SYS_fdatasync, fd) : syscall(SYS_fsync, fd));
}

int ckvm_share_flush_system(int fd) {
    return ckvm_result(syscall(SYS_syncfs, fd));
}

int ckvm_share_close_once(int fd) {
    long other = syscall(SYS_dup, fd);
    // No descriptor is left: then this closing has nothing to tell.
    if (other < 0) return 0;
    return ckvm_result(syscall(SYS_close, other));
}

void ckvm_share_own_umask(void) {
    if (syscall(SYS_unshare, CLONE_FS) == 0) syscall(SYS_umask, 0);
}

int ckvm_share_raise_limit(int wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    rlim_t most = limit.rlim_max < (rlim_t)wanted ? limit.rlim_max : (rlim_t)wanted;
    if (limit.rlim_cur < most) {
        struct rlimit raised = {.rlim_cur = most, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int)limit.rlim_cur;
}
