// Runs a program that makes a virtual machine, and prints how long it took and how many exits KVM counted.
//
//     vm-cost [-r FILE] PROGRAM...
//
// Printed on standard output, on one line: seconds from the start of the process to its end, and the sum over the vCPUs
// of KVM's own statistic `exits`. With -r, all of KVM's statistics that are not zero are appended to a file.
// The program's standard input is empty, and its output goes to standard error. Its status is this program's.
//
// KVM's statistics of a machine are files below debugfs, and go when the machine does. So a second descriptor of the
// machine is taken out of the program (pidfd_getfd) as soon as there is one: that keeps the machine, which has nothing
// more to do, until its statistics have been read, and costs the program nothing while it runs.

#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STATISTICS "/sys/kernel/debug/kvm"
#define MAXIMUM_MACHINES 16

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

// Keeps the machine whose statistics have just appeared. They are named after the thread that made it and its
// descriptor, which is there a moment later.
static void keep(int child, const char *name) {
    int number;
    if (sscanf(name, "%*d-%d", &number) != 1 || machine_count == MAXIMUM_MACHINES) return;
    for (int tries = 0; tries < 1000; tries++) {
        if (syscall(SYS_pidfd_getfd, child, number, 0) >= 0) {
            snprintf(machines[machine_count++], sizeof *machines, "%s", name);
            return;
        }
        if (errno != EBADF) fail("pidfd_getfd");
        usleep(10);
    }
    fprintf(stderr, "vm-cost: the machine %s was gone at once and is not counted\n", name);
}

static void take_events(int watch, int child) {
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t size = read(watch, buffer, sizeof buffer);
    for (char *at = buffer; at < buffer + size;) {
        struct inotify_event *event = (struct inotify_event *)at;
        if (event->len > 0) keep(child, event->name);
        at += sizeof *event + event->len;
    }
}

// Keeps machines until the child has ended.
static void follow(int watch, int child) {
    struct pollfd wanted[] = {{.fd = watch, .events = POLLIN}, {.fd = child, .events = POLLIN}};
    while (poll(wanted, 2, -1) >= 0 || errno == EINTR) {
        if (wanted[0].revents) take_events(watch, child);
        if (wanted[1].revents) return;
    }
    fail("poll");
}

static unsigned long long read_statistic(const char *machine, const char *name) {
    char path[PATH_MAX];
    unsigned long long value = 0;
    snprintf(path, sizeof path, STATISTICS "/%s/%s", machine, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) fail(path);
    if (fscanf(file, "%llu", &value) != 1) value = 0;
    fclose(file);
    return value;
}

// Statistics of several numbers (histograms) count as their first.
static void append_all(FILE *to, const char *machine) {
    DIR *directory;
    struct dirent *entry;
    char path[PATH_MAX];
    snprintf(path, sizeof path, STATISTICS "/%s", machine);
    directory = opendir(path);
    if (directory == NULL) fail(path);
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_type != DT_REG) continue;
        unsigned long long value = read_statistic(machine, entry->d_name);
        if (value != 0) fprintf(to, "%-32s %llu\n", entry->d_name, value);
    }
    closedir(directory);
}

int main(int count, char **arguments) {
    const char *report = NULL;
    int option;
    while ((option = getopt(count, arguments, "+r:")) != -1) {
        if (option != 'r') return 125;
        report = optarg;
    }
    if (arguments[optind] == NULL) {
        fprintf(stderr, "usage: vm-cost [-r FILE] PROGRAM...\n");
        return 125;
    }
    int watch = inotify_init1(IN_CLOEXEC);
    if (watch < 0 || inotify_add_watch(watch, STATISTICS, IN_CREATE) < 0) fail(STATISTICS);

    double start = now();
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) become(arguments + optind);
    int handle = (int)syscall(SYS_pidfd_open, child, 0);
    if (handle < 0) fail("pidfd_open");
    follow(watch, handle);
    double end = now();
    int status;
    if (waitpid(child, &status, 0) < 0) fail("waitpid");

    unsigned long long exits = 0;
    FILE *to = report != NULL ? fopen(report, "a") : NULL;
    if (report != NULL && to == NULL) fail(report);
    for (int i = 0; i < machine_count; i++) {
        exits += read_statistic(machines[i], "exits");
        if (to != NULL) append_all(to, machines[i]);
    }
    if (to != NULL) fclose(to);
    printf("%.3f %llu\n", end - start, exits);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
