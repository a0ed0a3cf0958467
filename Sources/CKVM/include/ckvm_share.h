// A folder of the host that is shared with a guest: files below it, named by paths that lead over no link and out of no
// file system.
//
// Every function returns 0, a descriptor (close-on-exec) or a number of bytes; or -errno. Source: openat2(2), statx(2),
// getdents64(2), and the pages of the other calls; /proc/self/fd in proc(5).

#ifndef CKVM_SHARE_H
#define CKVM_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What statx(2) says of a file.
struct ckvm_share_status {
    uint64_t inode, size, blocks;
    int64_t access_time, change_time, status_time;          // seconds: atime, mtime, ctime
    uint32_t access_part, change_part, status_part;         // nanoseconds
    uint32_t device_major, device_minor;                    // where the file is
    uint32_t named_major, named_minor;                      // what a device's file stands for
    uint32_t mode, links, user, group, block_size;
};

// What fstatfs(2) says of a file system.
struct ckvm_share_system {
    uint64_t blocks, free_blocks, available_blocks, files, free_files;
    uint32_t block_size, fragment_size, name_length;
};

// Opens a folder as a place, which can neither be read nor written to.
int ckvm_share_folder(const char *path);

// Opens /proc/self/fd as a place: by it, what a place stands for is opened or changed.
int ckvm_share_descriptors(void);

// Opens a file below a folder: its path leads over no link, above the folder at no time, and to no other file system.
int ckvm_share_below(int folder, const char *path, int flags, uint32_t mode);

// A place below a folder; the last part of the path may be a link, which then is the place.
int ckvm_share_place(int folder, const char *path);

// Opens what a place stands for. Nothing but regular files and folders: with others, things happen.
int ckvm_share_open(int descriptors, int place, int flags);

int ckvm_share_stat(int place, struct ckvm_share_status *status);
int ckvm_share_statfs(int place, struct ckvm_share_system *system);

// Entries of a folder that is open to be read, as struct linux_dirent64 has them.
ssize_t ckvm_share_entries(int folder, void *entries, size_t size);

ssize_t ckvm_share_read_link(int place, void *target, size_t size);

// Of what a descriptor stands for, whether that is open or a place.
int ckvm_share_set_mode(int descriptors, int fd, uint32_t mode);
// UINT32_MAX leaves one as it is.
int ckvm_share_set_owner(int descriptors, int fd, uint32_t user, uint32_t group);
// Nanoseconds can be CKVM_TIME_NOW or CKVM_TIME_KEPT: UTIME_NOW and UTIME_OMIT, whose macros Swift does not import.
int ckvm_share_set_times(int descriptors, int fd, int64_t access_time, int64_t access_part, int64_t change_time,
    int64_t change_part);
#define CKVM_TIME_NOW 0x3fffffff
#define CKVM_TIME_KEPT 0x3ffffffe

// Names in folders. A name has one part.
int ckvm_share_make_folder(int folder, const char *name, uint32_t mode);
int ckvm_share_make_node(int folder, const char *name, uint32_t mode);
int ckvm_share_make_link(int folder, const char *name, const char *target);
int ckvm_share_add_name(int descriptors, int place, int folder, const char *name);
int ckvm_share_remove(int folder, const char *name, bool is_folder);
int ckvm_share_rename(int from, const char *name, int to, const char *new_name, uint32_t flags);

// Files that are open.
int ckvm_share_set_size(int fd, int64_t size);
int ckvm_share_allocate(int fd, int mode, int64_t offset, int64_t size);
int64_t ckvm_share_seek(int fd, int64_t offset, int whence);
int ckvm_share_flush(int fd, bool data_alone);
int ckvm_share_flush_system(int fd);
// What a file system says when a file is closed: another descriptor of it is.
int ckvm_share_close_once(int fd);

// Gives the calling thread a umask of its own, which takes nothing away. Where that is not to be had, it keeps the
// process's.
void ckvm_share_own_umask(void);

// Lets the process have as many descriptors as it may, up to `wanted`. Returns how many.
int ckvm_share_raise_limit(int wanted);

#endif
