// Runs two programs in turn, A B A B ..., and compares what they take.
//
//     in-turn [-n ROUNDS] [-t MEASURE=TARGET] NAME-A PROGRAM... -- NAME-B PROGRAM...
//
// In turn, because a machine gets slower and faster as its other work comes and goes: the two of a round see about the
// same machine. A first round is thrown away; it fills the caches. Printed are the medians, and of the ratio A / B,
// which is made round by round, the least, the median and the maximum. A target is printed beside its measure, and
// decides nothing.
//
// What the programs write to standard output is thrown away. One that cannot be run or fails ends this one with
// status 1.

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAXIMUM_ROUNDS 10000

enum measure { WALL, USER, SYSTEM, CPU, FAULTS, RESIDENT, MEASURES };

static const char *const measure_names[MEASURES] = {"wall", "user", "system", "cpu", "faults", "resident"};
static const char *const measure_units[MEASURES] = {"ms", "ms", "ms", "ms", "", "MB"};

struct program {
    const char *name;
    char **command;
    double *samples[MEASURES]; // one a round, in the measure's unit
};

static double target[MEASURES]; // 0 for none

static void fail(const char *what) {
    fprintf(stderr, "in-turn: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void usage(void) {
    fprintf(stderr, "usage: in-turn [-n ROUNDS] [-t MEASURE=TARGET] NAME-A PROGRAM... -- NAME-B PROGRAM...\n");
    exit(64);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static double milliseconds(struct timeval time) {
    return (double)time.tv_sec * 1e3 + (double)time.tv_usec * 1e-3;
}

// In the child: only what cannot fail halfway may stand between fork and exec.
static void become(char **command) {
    int null = open("/dev/null", O_WRONLY);
    if (null < 0 || dup2(null, STDOUT_FILENO) < 0) _exit(127);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

// Runs a program once. wait4 tells what this one child took, and not what all of them did together.
static void run(const struct program *program, double result[MEASURES]) {
    double start = now();
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) become(program->command);
    int status;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) < 0) fail("wait4");
    result[WALL] = now() - start;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "in-turn: %s failed\n", program->name);
        exit(1);
    }
    result[USER] = milliseconds(usage.ru_utime);
    result[SYSTEM] = milliseconds(usage.ru_stime);
    result[CPU] = result[USER] + result[SYSTEM];
    // Page faults that needed no disk; and the most memory that was resident, which the kernel gives in KiB.
    result[FAULTS] = (double)usage.ru_minflt;
    result[RESIDENT] = (double)usage.ru_maxrss * 1024e-6;
}

static void run_rounds(struct program programs[2], int rounds) {
    double result[MEASURES];
    for (int round = -1; round < rounds; round++) {
        for (int i = 0; i < 2; i++) {
            run(&programs[i], result);
            if (round < 0) continue;
            for (int m = 0; m < MEASURES; m++) programs[i].samples[m][round] = result[m];
        }
    }
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(const double *sorted, int count) {
    return count % 2 == 1 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

// The ratios of the rounds. Times that the kernel counts in ticks can be 0, and give no ratio.
static int make_ratios(const double *a, const double *b, int rounds, double *ratios) {
    int count = 0;
    for (int i = 0; i < rounds; i++) {
        if (b[i] > 0) ratios[count++] = a[i] / b[i];
    }
    qsort(ratios, (size_t)count, sizeof *ratios, ascending);
    return count;
}

static void print_measure(enum measure measure, struct program programs[2], int rounds, double *scratch) {
    double *a = programs[0].samples[measure], *b = programs[1].samples[measure];
    int ratios = make_ratios(a, b, rounds, scratch);
    qsort(a, (size_t)rounds, sizeof *a, ascending);
    qsort(b, (size_t)rounds, sizeof *b, ascending);
    const char *unit = measure_units[measure];
    printf("%-8s %10.2f %-2s %10.2f %-2s", measure_names[measure], median(a, rounds), unit, median(b, rounds), unit);
    if (ratios > 0) {
        printf("  %7.3f %7.3f %7.3f", scratch[0], median(scratch, ratios), scratch[ratios - 1]);
    } else {
        printf("  %7s %7s %7s", "-", "-", "-");
    }
    if (target[measure] > 0) printf("  %7.2f", target[measure]);
    printf("\n");
}

static void print_table(struct program programs[2], int rounds) {
    double *scratch = calloc((size_t)rounds, sizeof *scratch);
    if (scratch == NULL) fail("memory");
    printf("%-8s %13.13s %13.13s  %7s %7s %7s  %7s\n", "median", programs[0].name, programs[1].name, "least", "RATIO",
           "most", "target");
    for (int m = 0; m < MEASURES; m++) print_measure((enum measure)m, programs, rounds, scratch);
    free(scratch);
}

static void parse_target(const char *text) {
    const char *equals = strchr(text, '=');
    if (equals == NULL) usage();
    for (int m = 0; m < MEASURES; m++) {
        size_t length = strlen(measure_names[m]);
        if (length == (size_t)(equals - text) && strncmp(text, measure_names[m], length) == 0) {
            target[m] = strtod(equals + 1, NULL);
            return;
        }
    }
    usage();
}

// NAME PROGRAM... up to `--` or the end. Returns what is behind it.
static char **parse_program(char **arguments, struct program *program, int rounds) {
    if (arguments[0] == NULL || arguments[1] == NULL) usage();
    program->name = arguments[0];
    program->command = arguments + 1;
    for (int m = 0; m < MEASURES; m++) {
        program->samples[m] = calloc((size_t)rounds, sizeof(double));
        if (program->samples[m] == NULL) fail("memory");
    }
    char **end = arguments + 1;
    while (*end != NULL && strcmp(*end, "--") != 0) end++;
    if (*end == NULL) return end;
    *end = NULL;
    return end + 1;
}

int main(int count, char **arguments) {
    int rounds = 5;
    int option;
    // "+": options end at the first word that is none, so that the programs keep theirs.
    while ((option = getopt(count, arguments, "+n:t:")) != -1) {
        if (option == 'n') {
            rounds = atoi(optarg);
        } else if (option == 't') {
            parse_target(optarg);
        } else {
            usage();
        }
    }
    if (rounds < 1 || rounds > MAXIMUM_ROUNDS) usage();

    struct program programs[2];
    char **rest = parse_program(arguments + optind, &programs[0], rounds);
    rest = parse_program(rest, &programs[1], rounds);
    if (*rest != NULL) usage();
    run_rounds(programs, rounds);
    print_table(programs, rounds);
    return 0;
}
