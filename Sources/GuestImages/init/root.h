// The root file system. It comes from the initramfs, and is held in memory: a directory in it, such as /tmp, needs no
// file system of its own.

// mount TARGET, TYPE, FLAGS, OPTIONS: a line of the table of mounts, of four fields of 32 bits.
.macro mount target, type, flags, options
        .long   \target, \type, \flags, \options
.endm
#define MOUNT_TARGET        0
#define MOUNT_TYPE          4
#define MOUNT_FLAGS         8
#define MOUNT_OPTIONS       12
#define MOUNT_SIZE          16

// A line of the table of links, of two fields of 32 bits.
#define LINK_TARGET         0
#define LINK_PATH           4
#define LINK_SIZE           8

// The bytes of the name below.
#define HOST_NAME_SIZE      7

// make_root: mounts the kernel's file systems, and sets up what is usual besides. What a kernel was built without, the
// guest does without; of the failures that matter, later steps hear. Changes all registers.
make_root:
        // The mounts, one line of the table each.
        mov     ebx, offset mounts
1:
        mov     edi, [rbx + MOUNT_TARGET]
        system_call SYS_MKDIR, rdi, 0755
        mov     esi, [rbx + MOUNT_TARGET]
        mov     edx, [rbx + MOUNT_TYPE]
        mov     r10d, [rbx + MOUNT_FLAGS]
        mov     r8d, [rbx + MOUNT_OPTIONS]
        // What is mounted has no device; its type stands for it, as usual.
        system_call SYS_MOUNT, rdx, rsi, rdx, r10, r8
        add     ebx, MOUNT_SIZE
        cmp     ebx, offset mounts_end
        jb      1b

        // Links that are usual in /dev.
        mov     ebx, offset links
2:
        mov     edi, [rbx + LINK_TARGET]
        mov     esi, [rbx + LINK_PATH]
        system_call SYS_SYMLINK, rdi, rsi
        add     ebx, LINK_SIZE
        cmp     ebx, offset links_end
        jb      2b

        // The root of a tmpfs can be written to by all.
        system_call SYS_CHMOD, "offset path_root", 0755

        system_call SYS_SETHOSTNAME, "offset host_name", HOST_NAME_SIZE

        // The loopback interface: 127.0.0.1 comes with it.
        system_call SYS_SOCKET, AF_INET, SOCK_DGRAM | O_CLOEXEC, 0
        test    rax, rax
        js      3f
        system_call SYS_IOCTL, rax, SIOCSIFFLAGS, "offset interface_up"
3:
        // Descriptors 0 to 2 are open from now on, whether or not there is a console: no pipe gets these numbers.
        system_call SYS_OPEN, "offset path_null", O_RDWR | O_CLOEXEC
        test    rax, rax
        js      4f
        cmp     eax, 2
        jbe     3b
4:
        ret

        place   mounts
        mount   path_dev, type_devtmpfs, MS_NOSUID, options_dev
        mount   path_pts, type_devpts, MS_NOSUID | MS_NOEXEC, options_pts
        mount   path_shm, type_tmpfs, MS_NOSUID | MS_NODEV, options_shm
        mount   path_proc, type_proc, MS_NOSUID | MS_NODEV | MS_NOEXEC, options_none
        mount   path_sys, type_sysfs, MS_NOSUID | MS_NODEV | MS_NOEXEC, options_none
        place   mounts_end

        place   links
        .long   link_descriptors, path_descriptors
        .long   link_stdin, path_stdin
        .long   link_stdout, path_stdout
        .long   link_stderr, path_stderr
        place   links_end

        // struct ifreq: the name in 16 bytes, and the flags in a union of 24.
        place   interface_up
        .ascii  "lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        .short  IFF_UP
        .zero   22

// text NAME, "TEXT": a string that ends with a zero.
.macro text name, string:vararg
        place   \name
        .asciz  \string
.endm

        text    host_name, "minivmm"
        text    path_root, "/"
        text    path_null, "/dev/null"
        text    path_dev, "/dev"
        text    path_pts, "/dev/pts"
        text    path_shm, "/dev/shm"
        text    path_proc, "/proc"
        text    path_sys, "/sys"
        text    type_devtmpfs, "devtmpfs"
        text    type_devpts, "devpts"
        text    type_tmpfs, "tmpfs"
        text    type_proc, "proc"
        text    type_sysfs, "sysfs"
        text    options_none, ""
        text    options_dev, "mode=0755"
        text    options_pts, "mode=0620,gid=5"
        text    options_shm, "mode=1777"
        text    path_descriptors, "/dev/fd"
        text    path_stdin, "/dev/stdin"
        text    path_stdout, "/dev/stdout"
        text    path_stderr, "/dev/stderr"
        text    link_descriptors, "/proc/self/fd"
        text    link_stdin, "/proc/self/fd/0"
        text    link_stdout, "/proc/self/fd/1"
        text    link_stderr, "/proc/self/fd/2"
