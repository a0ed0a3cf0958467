#define _GNU_SOURCE

#include "ckvm.h"

#include <linux/capability.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

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

int ckvm_landlock_version(void) {
    long result = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return result < 0 ? -errno : (int)result;
}

// Rights that <linux/landlock.h> of older kernels does not name.
#define CKVM_ACCESS_REFER (1ull << 13)
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
    // To move a file from one directory to another. What does not handle it, forbids it.
    if (version >= 2) handled |= CKVM_ACCESS_REFER;
    if (!reads_on) handled |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    struct landlock_ruleset_attr attributes = {.handled_access_fs = handled};
    long ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0);
    if (ruleset < 0) return -errno;
    int error = 0;
    for (size_t index = 0; index < count && !error; index++) {
        uint64_t reads = (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR) & handled;
        uint64_t allowed = places[index].is_read ? reads : writes;
        if (places[index].takes_files) allowed |= files | writes;
        if (places[index].takes_files && places[index].is_read)
            allowed |= handled & (LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_DIR
                | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | CKVM_ACCESS_REFER);
        // A rule that allows nothing is an error.
        if (!allowed) continue;
        struct landlock_path_beneath_attr rule = {
            .allowed_access = allowed, .parent_fd = places[index].descriptor,
        };
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0) error = -errno;
    }
    if (!error && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0) error = -errno;
    close((int)ruleset);
    return error;
}
