// The run page: why KVM_RUN returned, and what it asks for.
//
// Source: Linux, Documentation/virt/kvm/api.rst, section "The kvm_run structure".

#ifndef CKVM_EXIT_H
#define CKVM_EXIT_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Exit reasons newer than the oldest kernel headers that MiniVMM builds with. From include/uapi/linux/kvm.h of Linux.
#ifndef KVM_EXIT_LOONGARCH_IOCSR
#define KVM_EXIT_LOONGARCH_IOCSR 38
#endif
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39 // Linux 6.8
#endif
#ifndef KVM_EXIT_TDX
#define KVM_EXIT_TDX 40 // Linux 6.16
#endif

// KVM_EXIT_IO. `data` points into the run page and holds `count` items of `size` bytes.
struct ckvm_io {
    uint8_t *data;
    uint32_t count;
    uint16_t port;
    uint8_t size;
    bool is_out;
};

static inline struct ckvm_io ckvm_exit_io(struct kvm_run *run) {
    struct ckvm_io io = {
        .data = (uint8_t *)run + run->io.data_offset,
        .count = run->io.count,
        .port = run->io.port,
        .size = run->io.size,
        .is_out = run->io.direction == KVM_EXIT_IO_OUT,
    };
    return io;
}

// Whether the exit is KVM_EXIT_IO of one byte, and that byte is within the run page's `size` bytes: a few comparisons and no
// more, because most exits are.
static inline bool ckvm_is_io_byte(const struct kvm_run *run, size_t size) {
    return run->exit_reason == KVM_EXIT_IO && run->io.size == 1 && run->io.count == 1 && run->io.data_offset < size;
}

// What such an exit says, one thing at a time: the compiler packs a struct, and unpacks it again.
static inline bool ckvm_io_is_out(const struct kvm_run *run) {
    return run->io.direction == KVM_EXIT_IO_OUT;
}

static inline uint16_t ckvm_io_port(const struct kvm_run *run) {
    return run->io.port;
}

static inline uint8_t *ckvm_io_data(struct kvm_run *run) {
    return (uint8_t *)run + run->io.data_offset;
}

// KVM_EXIT_MMIO. `data` points into the run page and holds `size` (at most 8) bytes.
struct ckvm_mmio {
    uint64_t address;
    uint8_t *data;
    uint32_t size;
    bool is_write;
};

static inline struct ckvm_mmio ckvm_exit_mmio(struct kvm_run *run) {
    struct ckvm_mmio mmio = {
        .address = run->mmio.phys_addr,
        .data = run->mmio.data,
        .size = run->mmio.len,
        .is_write = run->mmio.is_write != 0,
    };
    return mmio;
}

// KVM_EXIT_DEBUG: struct kvm_debug_exit_arch of x86.
static inline struct kvm_debug_exit_arch ckvm_exit_debug(const struct kvm_run *run) {
    return run->debug.arch;
}

// KVM_EXIT_X86_RDMSR and KVM_EXIT_X86_WRMSR.
struct ckvm_msr {
    uint64_t data;
    uint32_t index;
    uint32_t reason;
};

static inline struct ckvm_msr ckvm_exit_msr(const struct kvm_run *run) {
    struct ckvm_msr msr = {.data = run->msr.data, .index = run->msr.index, .reason = run->msr.reason};
    return msr;
}

// Answers an MSR exit: the value read, or `fault` for a #GP in the guest.
static inline void ckvm_answer_msr(struct kvm_run *run, uint64_t data, bool fault) {
    run->msr.data = data;
    run->msr.error = fault ? 1 : 0;
}

// KVM_EXIT_UNKNOWN.
static inline uint64_t ckvm_exit_hardware_reason(const struct kvm_run *run) {
    return run->hw.hardware_exit_reason;
}

// KVM_EXIT_FAIL_ENTRY.
static inline uint64_t ckvm_exit_entry_failure_reason(const struct kvm_run *run) {
    return run->fail_entry.hardware_entry_failure_reason;
}

// KVM_EXIT_EXCEPTION.
static inline uint32_t ckvm_exit_exception_vector(const struct kvm_run *run) {
    return run->ex.exception;
}

// KVM_EXIT_HYPERCALL.
static inline uint64_t ckvm_exit_hypercall_number(const struct kvm_run *run) {
    return run->hypercall.nr;
}

static inline void ckvm_answer_hypercall(struct kvm_run *run, uint64_t result) {
    run->hypercall.ret = result;
}

// KVM_EXIT_SYSTEM_EVENT.
static inline uint32_t ckvm_exit_system_event_type(const struct kvm_run *run) {
    return run->system_event.type;
}

// KVM_EXIT_INTERNAL_ERROR: the suberror, and the instruction bytes when KVM gives them.
struct ckvm_internal_error {
    uint32_t suberror;
    uint32_t instruction_size; // 0 when KVM gave no bytes
    uint8_t instruction[15];   // the longest x86 instruction
};

static inline struct ckvm_internal_error ckvm_exit_internal_error(const struct kvm_run *run) {
    struct ckvm_internal_error error = {.suberror = run->internal.suberror};
    if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && run->emulation_failure.ndata >= 1 &&
        (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
        uint32_t size = run->emulation_failure.insn_size;
        error.instruction_size = size <= sizeof error.instruction ? size : sizeof error.instruction;
        memcpy(error.instruction, run->emulation_failure.insn_bytes, error.instruction_size);
    }
    return error;
}

// KVM_CAP_SYNC_REGS: the registers that KVM stores in the run page at every exit, as far as kvm_valid_regs asks for
// them, and takes from it at every entry, as far as kvm_dirty_regs says so.
static inline struct kvm_regs *ckvm_synced_regs(struct kvm_run *run) {
    return &run->s.regs.regs;
}

static inline struct kvm_sregs *ckvm_synced_sregs(struct kvm_run *run) {
    return &run->s.regs.sregs;
}

static const uint64_t ckvm_sync_regs = KVM_SYNC_X86_REGS;
static const uint64_t ckvm_sync_sregs = KVM_SYNC_X86_SREGS;

// run->immediate_exit is written by a thread that kicks the vCPU while the vCPU's own thread may be in KVM_RUN or
// about to enter it, so both sides use atomic stores.
static inline void ckvm_set_immediate_exit(struct kvm_run *run, bool value) {
    __atomic_store_n(&run->immediate_exit, value ? 1 : 0, __ATOMIC_SEQ_CST);
}

#endif
