// Counts the heap allocations of a program that it is loaded into, and writes the number at the program's end.
//
//     ALLOCATION_COUNT_FILE=F LD_PRELOAD=./count-allocations.so PROGRAM...
//
// malloc, calloc, realloc and the aligned forms count alike; free does not. It stands in front of the C library's own
// functions, so it sees what C, C++ and Swift allocate, also where the Swift runtime is linked statically: that still
// takes its memory from the C library.

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// glibc's allocator under its other names. Looking the usual ones up with dlsym would allocate in the middle of it.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_ulong allocations;

static void count(void) {
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
}

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count();
    return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size) {
    count();
    return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    void *result = memalign(alignment, size);
    if (result == NULL) return ENOMEM;
    *memory = result;
    return 0;
}

// Without stdio's buffers: they would be allocations.
__attribute__((destructor)) static void report(void) {
    const char *path = getenv("ALLOCATION_COUNT_FILE");
    if (path == NULL) return;
    char text[32];
    int length = snprintf(text, sizeof text, "%lu\n", atomic_load(&allocations));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, text, (size_t)length) != length) perror(path);
    if (fd >= 0) close(fd);
}
