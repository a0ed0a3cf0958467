#define _GNU_SOURCE // O_PATH, O_TMPFILE, fallocate(2)

#include "ckvm.h"

#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

// Names of file systems that <linux/magic.h> has not, or not in old versions. Source: Linux, fs/configfs/mount.c,
// include/uapi/linux/magic.h.
#define CKVM_CONFIGFS_MAGIC 0x62656570
#define CKVM_EFIVARFS_MAGIC 0xde5e81e4

static bool ckvm_is_synthetic(int fd) {
    struct statfs system;
    if (fstatfs(fd, &system) < 0) return false;
    switch ((uint32_t)system.f_type) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case SECURITYFS_MAGIC:
    case SELINUX_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case BPF_FS_MAGIC:
    case CKVM_CONFIGFS_MAGIC:
    case CKVM_EFIVARFS_MAGIC: return true;
    default: return false;
    }
}

// Opens a path without following links in it, where the system can be told so (Linux 5.6).
static int ckvm_open_plain(const char *path, int flags) {
    struct open_how how = {.flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC), .resolve = RESOLVE_NO_SYMLINKS};
    long result = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (result < 0 && (errno == ENOSYS || errno == EPERM)) result = open(path, flags | O_NOFOLLOW | O_CLOEXEC);
    return result < 0 ? -errno : (int)result;
}

static int ckvm_describe(int fd, struct ckvm_file *file) {
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    *file = (struct ckvm_file){
        .device = status.st_dev, .inode = status.st_ino, .size = (uint64_t)status.st_size, .mode = status.st_mode,
        .is_synthetic = ckvm_is_synthetic(fd),
    };
    return S_ISREG(status.st_mode) ? 0 : -EINVAL;
}

int ckvm_open_regular(const char *path, struct ckvm_file *file) {
    *file = (struct ckvm_file){0};
    // A place, which opens nothing yet.
    int place = ckvm_open_plain(path, O_PATH);
    if (place < 0) return place;
    int result = ckvm_describe(place, file);
    if (result == 0) {
        char same[40];
        snprintf(same, sizeof same, "/proc/self/fd/%d", place);
        int fd = open(same, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        result = fd < 0 ? -errno : fd;
        if (result == -ENOENT || result == -ENOTDIR) {
            // Without /proc: by its path again, if it still leads to the same file.
            struct ckvm_file found;
            result = ckvm_open_plain(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
            if (result >= 0
                && (ckvm_describe(result, &found) != 0 || found.device != file->device || found.inode != file->inode)) {
                close(result);
                result = -ESTALE;
            }
        }
    }
    close(place);
    return result;
}

// A name that nobody else uses: names of files have at most 255 bytes.
static void ckvm_temporary_name(const char *name, int number, char *temporary) {
    snprintf(temporary, CKVM_NAME_SIZE, ".%.200s.%ld.%d", name, (long)getpid(), number);
}

// Makes a file under a name of its own. Returns the descriptor, or -errno.
static int ckvm_create_named(int directory, const char *name, mode_t mode, char *temporary) {
    int fd = -EEXIST;
    for (int number = 0; number < 100 && fd == -EEXIST; number++) {
        ckvm_temporary_name(name, number, temporary);
        fd = openat(directory, temporary, CKVM_NEW_FILE, mode);
        if (fd < 0) fd = -errno;
    }
    if (fd < 0) temporary[0] = 0;
    return fd;
}

int ckvm_create_unnamed(int directory, const char *name, mode_t mode, char *temporary) {
    temporary[0] = 0;
    int fd = openat(directory, ".", CKVM_UNNAMED_FILE, mode);
    if (fd >= 0) {
        // Without /proc it could not be given a name.
        if (access("/proc/self/fd", X_OK) == 0) return fd;
        close(fd);
    }
    return ckvm_create_named(directory, name, mode, temporary);
}

int ckvm_create_likewise(int directory, const char *name, mode_t mode, const char *earlier, char *temporary) {
    temporary[0] = 0;
    if (earlier[0]) return ckvm_create_named(directory, name, mode, temporary);
    int fd = openat(directory, ".", CKVM_UNNAMED_FILE, mode);
    return fd < 0 ? -errno : fd;
}

int ckvm_publish(int fd, int directory, const char *temporary, const char *name) {
    if (temporary[0]) return renameat(directory, temporary, directory, name) < 0 ? -errno : 0;
    char source[40], linked[CKVM_NAME_SIZE];
    snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
    for (int number = 0; number < 100; number++) {
        ckvm_temporary_name(name, number, linked);
        if (linkat(AT_FDCWD, source, directory, linked, AT_SYMLINK_FOLLOW) < 0) {
            if (errno == EEXIST) continue;
            return -errno;
        }
        if (renameat(directory, linked, directory, name) == 0) return 0;
        int error = errno;
        unlinkat(directory, linked, 0);
        return -error;
    }
    return -EEXIST;
}

int ckvm_open_disk(const char *path, bool read_only, struct ckvm_disk *disk) {
    *disk = (struct ckvm_disk){0};
    // A FIFO or a terminal is not waited for.
    int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -errno;
    struct stat status;
    int error = fstat(fd, &status) < 0 ? -errno : 0;
    if (!error && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) error = -EINVAL;
    if (!error && flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) error = -errno;
    off_t size = error ? 0 : lseek(fd, 0, SEEK_END);
    if (size < 0) error = -errno;
    if (error) {
        close(fd);
        return error;
    }
    disk->size = (uint64_t)size;
    if (!read_only) {
        // Behind the end nothing changes; a device says EINVAL there, if it could do so elsewhere.
        int result = ckvm_punch_hole(fd, size, 4096);
        disk->punches_holes = result == 0 || result == -EINVAL;
    }
    return fd;
}

int ckvm_punch_hole(int fd, int64_t offset, int64_t size) {
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size) < 0 ? -errno : 0;
}

int ckvm_zero_range(int fd, int64_t offset, int64_t size) {
    return fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, size) < 0 ? -errno : 0;
}

ssize_t ckvm_random(void *bytes, size_t count) {
    ssize_t result = getrandom(bytes, count, 0);
    return result < 0 ? -errno : result;
}
