// What it takes to have eBPF programs run at the kernel's tracepoints: bpf(2), perf_event_open(2), and a tracefs that
// nobody else sees.
//
// Source: Linux, include/uapi/linux/bpf.h and perf_event.h; Documentation/bpf.

#ifndef CKVM_BPF_H
#define CKVM_BPF_H

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>

// One instruction. The kernel's structure has bit fields, which Swift does not import.
struct ckvm_bpf_instruction {
    uint8_t code;
    uint8_t registers; // the destination in the low half, the source in the high one
    int16_t offset;
    int32_t immediate;
};

_Static_assert(sizeof(struct ckvm_bpf_instruction) == sizeof(struct bpf_insn), "as long as the kernel's");

// BPF_MAP_CREATE. `name` has at most 15 bytes. Returns the descriptor, or -errno.
int ckvm_bpf_create_map(
    uint32_t type, uint32_t key_size, uint32_t value_size, uint32_t entries, uint32_t flags, const char *name);

// BPF_PROG_LOAD. When `log` is not NULL, the verifier's words are put there. Returns the descriptor, or -errno.
int ckvm_bpf_load_program(
    uint32_t type, const struct ckvm_bpf_instruction *instructions, uint32_t count, const char *name, char *log,
    uint32_t log_size);

// BPF_MAP_UPDATE_ELEM and BPF_MAP_DELETE_ELEM. Return 0, or -errno.
int ckvm_bpf_update(int map, const void *key, const void *value);
int ckvm_bpf_delete(int map, const void *key);

// BPF_MAP_GET_NEXT_KEY (from the first key if `key` is NULL) and BPF_MAP_LOOKUP_ELEM. Return 0, or -errno.
int ckvm_bpf_next_key(int map, const void *key, void *next);
int ckvm_bpf_look_up(int map, const void *key, void *value);

// BPF_RAW_TRACEPOINT_OPEN. The program runs until the descriptor is closed. Returns it, or -errno.
int ckvm_bpf_attach_raw(const char *tracepoint, int program);

// A perf event of a tracepoint, by its number in tracefs, that counts nothing and runs a program. The program runs until
// the descriptor is closed. Returns it, or -errno.
int ckvm_bpf_attach_classic(uint64_t tracepoint, int program);

// Lifts the limit on locked memory, which maps counted against until Linux 5.11, as far as this process may.
void ckvm_bpf_raise_memory_limit(void);

// BPF_PROG_GET_NEXT_ID: the id of the program after `id`, or -errno. For tests.
int64_t ckvm_bpf_next_program(uint32_t id);

// A tracefs of this process alone: nobody's mounts change. Returns a directory's descriptor, or -errno.
int ckvm_tracefs(void);

// Maps `size` bytes of `fd`, shared, readable. Stores the address; returns 0, or -errno.
int ckvm_map_readable(int fd, size_t size, const void **address);

// openat(2), close-on-exec. Returns the descriptor, or -errno.
int ckvm_open_at(int directory, const char *path, int flags);

// The namespace of process ids that a process is in, this one if `process` is 0: its inode, and its device as the kernel
// holds it. Returns 0, or -errno.
int ckvm_pid_namespace(int32_t process, uint64_t *device, uint64_t *inode);

// The effective capabilities of this process, a bit for each, see capabilities(7). Returns 0, or -errno.
int ckvm_effective_capabilities(uint64_t *set);

// The inode of the namespace of users that this process is in. Returns 0, or -errno.
int ckvm_user_namespace(uint64_t *inode);

// gettid(2).
int32_t ckvm_thread_id(void);

#endif
