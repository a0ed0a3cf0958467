// Linux's system calls for x86-64, as far as init uses them.
//
// Source: Linux, arch/x86/entry/syscalls/syscall_64.tbl and include/uapi.

#define SYS_READ                0
#define SYS_WRITE               1
#define SYS_OPEN                2
#define SYS_CLOSE               3
#define SYS_FSTAT               5
#define SYS_POLL                7
#define SYS_MMAP                9
#define SYS_RT_SIGPROCMASK      14
#define SYS_IOCTL               16
#define SYS_DUP2                33
#define SYS_PAUSE               34
#define SYS_SOCKET              41
#define SYS_FORK                57
#define SYS_EXECVE              59
#define SYS_EXIT                60
#define SYS_WAIT4               61
#define SYS_KILL                62
#define SYS_FCNTL               72
#define SYS_CHDIR               80
#define SYS_MKDIR               83
#define SYS_SYMLINK             88
#define SYS_CHMOD               90
#define SYS_PTRACE              101
#define SYS_SETSID              112
#define SYS_SYNC                162
#define SYS_MOUNT               165
#define SYS_REBOOT              169
#define SYS_SETHOSTNAME         170
#define SYS_SIGNALFD4           289
#define SYS_PIPE2               293
#define SYS_FINIT_MODULE        313

// open(2), and the flags of pipe2(2) and signalfd4(2), which are the same.
#define O_RDONLY                0
#define O_RDWR                  2
#define O_NOCTTY                0x100
#define O_NONBLOCK              0x800
#define O_CLOEXEC               0x80000

// mmap(2)
#define PROT_READ               1
#define PROT_WRITE              2
#define MAP_SHARED              1
#define MAP_PRIVATE             2
#define MAP_FIXED               0x10

// poll(2)
#define POLLIN                  1
#define POLLOUT                 4
#define POLLERR                 8
#define POLL_FD                 0       // offsets in struct pollfd
#define POLL_EVENTS             4
#define POLL_REVENTS            6
#define POLL_SIZE               8

// Signals
#define SIG_BLOCK               0
#define SIG_SETMASK             2
#define SIGNAL_SET_SIZE         8       // bytes
#define SIGKILL                 9
#define SIGCHLD                 17
#define SIGCHLD_SET             0x10000 // bit 17 - 1

// Terminals: struct termios and ioctl_tty(2)
#define TCGETS                  0x5401
#define TCSETS                  0x5402
#define TERMIOS_INPUT           0       // offsets
#define TERMIOS_CONTROL         8
#define TERMIOS_LOCAL           12
#define TERMIOS_TIME            22      // c_cc[VTIME]
#define TERMIOS_LEAST           23      // c_cc[VMIN]
#define CREAD                   0x80
#define CLOCAL                  0x800

// ptrace(2)
#define PTRACE_TRACEME          0
#define PTRACE_CONT             7
#define PTRACE_SETOPTIONS       0x4200
#define PTRACE_O_TRACEEXEC      0x10
#define PTRACE_O_TRACEEXIT      0x40
#define PTRACE_EVENT_EXIT       6

// mount(2)
#define MS_NOSUID               2
#define MS_NODEV                4
#define MS_NOEXEC               8

// The rest
#define F_SETFL                 4       // fcntl(2)
#define WNOHANG                 1       // wait4(2)
#define WAIT_STOPPED            0x7f    // in the low byte: stopped, and the signal in the next; above them ptrace's event
#define EAGAIN                  11
#define EEXIST                  17
#define AF_INET                 2       // socket(2)
#define SOCK_DGRAM              2
#define SIOCADDRT               0x890B  // netdevice(7)
#define SIOCSIFFLAGS            0x8914
#define SIOCSIFADDR             0x8916
#define SIOCSIFNETMASK          0x891C
#define IFF_UP                  1
#define RTF_UP                  1       // struct rtentry
#define RTF_GATEWAY             2
#define REBOOT_MAGIC1           0xfee1dead  // reboot(2)
#define REBOOT_MAGIC2           672274793
#define REBOOT_POWER_OFF        0x4321fedc
#define STAT_SIZE               48      // offset of st_size
