// Runs a program that makes a virtual machine, and prints how long it took and how many exits KVM counted.
//
//     vm-cost PROGRAM...
//
// Printed on standard output, on one line: seconds from the start of the process to its end, and the sum over the vCPUs
// of KVM's own statistic `exits`. The program's standard input is empty, and its output goes to standard error. Its
// status is this program's.
//
// KVM's statistics of a machine are files below debugfs, and go when the machine does. So a second descriptor of the
// machine is taken out of the program (pidfd_getfd) once it runs: that keeps the machine, which has nothing more to do,
// until its statistics have been read, and costs the program nothing. A machine is looked for twenty times a second and
// kept from some exits on. One that a program makes only to try KVM is not: its statistics would stand in the way of
// those of the next machine, which has its name.

#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STATISTICS "/sys/kernel/debug/kvm"
#define MAXIMUM_MACHINES 16
#define LOOK_INTERVAL_MS 50
// More than a machine has that a program makes to try KVM, and far fewer than a Linux guest's.
#define LEAST_EXITS 200

static char machines[MAXIMUM_MACHINES][NAME_MAX + 1];
static int machine_count;

static void fail(const char *what) {
    fprintf(stderr, "vm-cost: %s: %s\n", what, strerror(errno));
    exit(125);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// In the child: only what cannot fail halfway may stand between fork and exec.
static void become(char **command) {
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) _exit(127);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

// 0 for a machine that is gone.
static unsigned long long exits_of(const char *machine) {
    char path[PATH_MAX];
    unsigned long long value = 0;
    snprintf(path, sizeof path, STATISTICS "/%s/exits", machine);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%llu", &value) != 1) value = 0;
    fclose(file);
    return value;
}

// Keeps a machine of the child. Machines are named after the thread that made them and its descriptor.
static void keep(int child, const char *name) {
    int number;
    if (sscanf(name, "%*d-%d", &number) != 1 || machine_count == MAXIMUM_MACHINES) return;
    for (int i = 0; i < machine_count; i++)
        if (strcmp(machines[i], name) == 0) return;
    if (exits_of(name) < LEAST_EXITS) return;
    if (syscall(SYS_pidfd_getfd, child, number, 0) >= 0)
        snprintf(machines[machine_count++], sizeof *machines, "%s", name);
    else if (errno != EBADF && errno != ESRCH)
        fail("pidfd_getfd");
}

// Keeps machines until the child has ended.
static void follow(int child) {
    struct pollfd end = {.fd = child, .events = POLLIN};
    for (;;) {
        int ready = poll(&end, 1, LOOK_INTERVAL_MS);
        if (ready > 0) return;
        if (ready < 0 && errno != EINTR) fail("poll");
        DIR *directory = opendir(STATISTICS);
        if (directory == NULL) fail(STATISTICS);
        struct dirent *entry;
        while ((entry = readdir(directory)) != NULL)
            if (entry->d_type == DT_DIR) keep(child, entry->d_name);
        closedir(directory);
    }
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: vm-cost PROGRAM...\n");
        return 125;
    }
    double start = now();
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) become(arguments + 1);
    int handle = (int)syscall(SYS_pidfd_open, child, 0);
    if (handle < 0) fail("pidfd_open");
    follow(handle);
    double end = now();
    int status;
    if (waitpid(child, &status, 0) < 0) fail("waitpid");

    unsigned long long exits = 0;
    for (int i = 0; i < machine_count; i++) exits += exits_of(machines[i]);
    printf("%.3f %llu\n", end - start, exits);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
