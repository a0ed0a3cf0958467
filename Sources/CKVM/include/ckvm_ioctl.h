// One static inline function per ioctl. Each returns the ioctl's value, or -errno.

#ifndef CKVM_IOCTL_H
#define CKVM_IOCTL_H

#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

// The one place that turns ioctl(2)'s convention into ours.
static inline int ckvm_ioctl(int fd, unsigned long request, uintptr_t argument) {
    int result = ioctl(fd, request, argument);
    return result < 0 ? -errno : result;
}

// An ioctl that takes a pointer to `type`.
#define CKVM_IOCTL_POINTER(name, request, type)                         \
    static inline int name(int fd, type *argument) {                    \
        return ckvm_ioctl(fd, request, (uintptr_t)argument);            \
    }

// An ioctl that takes a number.
#define CKVM_IOCTL_NUMBER(name, request)                                \
    static inline int name(int fd, uint64_t argument) {                 \
        return ckvm_ioctl(fd, request, (uintptr_t)argument);            \
    }

// An ioctl that takes nothing.
#define CKVM_IOCTL_VOID(name, request)                                  \
    static inline int name(int fd) {                                    \
        return ckvm_ioctl(fd, request, 0);                              \
    }

// On /dev/kvm.
CKVM_IOCTL_VOID(ckvm_get_api_version, KVM_GET_API_VERSION)
CKVM_IOCTL_VOID(ckvm_get_vcpu_mmap_size, KVM_GET_VCPU_MMAP_SIZE)
CKVM_IOCTL_NUMBER(ckvm_create_vm, KVM_CREATE_VM)
CKVM_IOCTL_NUMBER(ckvm_check_extension, KVM_CHECK_EXTENSION) // also on a VM
CKVM_IOCTL_POINTER(ckvm_get_supported_cpuid, KVM_GET_SUPPORTED_CPUID, struct kvm_cpuid2)
CKVM_IOCTL_POINTER(ckvm_get_machine_check_capabilities, KVM_X86_GET_MCE_CAP_SUPPORTED, uint64_t)

// On a VM.
CKVM_IOCTL_NUMBER(ckvm_create_vcpu, KVM_CREATE_VCPU)
CKVM_IOCTL_POINTER(ckvm_set_user_memory_region, KVM_SET_USER_MEMORY_REGION, const struct kvm_userspace_memory_region)
CKVM_IOCTL_NUMBER(ckvm_set_tss_addr, KVM_SET_TSS_ADDR)
CKVM_IOCTL_POINTER(ckvm_set_identity_map_addr, KVM_SET_IDENTITY_MAP_ADDR, const uint64_t)
CKVM_IOCTL_VOID(ckvm_create_irqchip, KVM_CREATE_IRQCHIP)
CKVM_IOCTL_POINTER(ckvm_create_pit2, KVM_CREATE_PIT2, const struct kvm_pit_config)
CKVM_IOCTL_POINTER(ckvm_irq_line, KVM_IRQ_LINE, const struct kvm_irq_level)
CKVM_IOCTL_POINTER(ckvm_get_irqchip, KVM_GET_IRQCHIP, struct kvm_irqchip)
CKVM_IOCTL_POINTER(ckvm_set_ioeventfd, KVM_IOEVENTFD, const struct kvm_ioeventfd)
CKVM_IOCTL_POINTER(ckvm_set_irqfd, KVM_IRQFD, const struct kvm_irqfd)
CKVM_IOCTL_POINTER(ckvm_enable_cap, KVM_ENABLE_CAP, const struct kvm_enable_cap) // also on a vCPU
CKVM_IOCTL_POINTER(ckvm_x86_set_msr_filter, KVM_X86_SET_MSR_FILTER, const struct kvm_msr_filter)

// On a vCPU.

// KVM_RUN by the system call itself. The C library's ioctl is a call more, and on the way back from the guest the
// processor does not predict its return.
//
// Returns 0, or -errno. Nothing is lost: ioctl(2) is no cancellation point, and the kernel keeps all registers but the
// three that are named.
static inline int ckvm_run(int fd) {
    long result = SYS_ioctl;
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"((long)fd), "S"((long)KVM_RUN), "d"(0L)
                     : "rcx", "r11", "memory");
    return (int)result;
}

CKVM_IOCTL_POINTER(ckvm_get_regs, KVM_GET_REGS, struct kvm_regs)
CKVM_IOCTL_POINTER(ckvm_set_regs, KVM_SET_REGS, const struct kvm_regs)
CKVM_IOCTL_POINTER(ckvm_get_sregs, KVM_GET_SREGS, struct kvm_sregs)
CKVM_IOCTL_POINTER(ckvm_set_sregs, KVM_SET_SREGS, const struct kvm_sregs)
CKVM_IOCTL_POINTER(ckvm_get_fpu, KVM_GET_FPU, struct kvm_fpu)
CKVM_IOCTL_POINTER(ckvm_set_fpu, KVM_SET_FPU, const struct kvm_fpu)
CKVM_IOCTL_POINTER(ckvm_get_cpuid2, KVM_GET_CPUID2, struct kvm_cpuid2)
CKVM_IOCTL_POINTER(ckvm_set_cpuid2, KVM_SET_CPUID2, const struct kvm_cpuid2)
CKVM_IOCTL_POINTER(ckvm_set_guest_debug, KVM_SET_GUEST_DEBUG, const struct kvm_guest_debug)
CKVM_IOCTL_POINTER(ckvm_get_msrs, KVM_GET_MSRS, struct kvm_msrs)
CKVM_IOCTL_POINTER(ckvm_set_msrs, KVM_SET_MSRS, const struct kvm_msrs)
CKVM_IOCTL_POINTER(ckvm_interrupt, KVM_INTERRUPT, const struct kvm_interrupt)
CKVM_IOCTL_POINTER(ckvm_get_mp_state, KVM_GET_MP_STATE, struct kvm_mp_state)
CKVM_IOCTL_POINTER(ckvm_set_mp_state, KVM_SET_MP_STATE, const struct kvm_mp_state)
CKVM_IOCTL_POINTER(ckvm_get_vcpu_events, KVM_GET_VCPU_EVENTS, struct kvm_vcpu_events)
CKVM_IOCTL_POINTER(ckvm_set_vcpu_events, KVM_SET_VCPU_EVENTS, const struct kvm_vcpu_events)
CKVM_IOCTL_POINTER(ckvm_get_debugregs, KVM_GET_DEBUGREGS, struct kvm_debugregs)
CKVM_IOCTL_POINTER(ckvm_set_debugregs, KVM_SET_DEBUGREGS, const struct kvm_debugregs)
CKVM_IOCTL_POINTER(ckvm_get_lapic, KVM_GET_LAPIC, struct kvm_lapic_state)
CKVM_IOCTL_POINTER(ckvm_set_lapic, KVM_SET_LAPIC, const struct kvm_lapic_state)
CKVM_IOCTL_POINTER(ckvm_set_up_machine_checks, KVM_X86_SETUP_MCE, const uint64_t)
CKVM_IOCTL_VOID(ckvm_get_tsc_khz, KVM_GET_TSC_KHZ)

// On a VM or a vCPU.
CKVM_IOCTL_VOID(ckvm_get_stats_fd, KVM_GET_STATS_FD)

static const uint32_t ckvm_msr_exit_reason_filter = KVM_MSR_EXIT_REASON_FILTER;

// KVM_X86_SET_MSR_FILTER: reads and writes of one MSR exit, all others are KVM's. The bitmap is read during the call.
static inline int ckvm_intercept_msr(int fd, uint32_t index) {
    uint8_t none_allowed = 0;
    struct kvm_msr_filter filter = {.flags = KVM_MSR_FILTER_DEFAULT_ALLOW};
    filter.ranges[0].flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
    filter.ranges[0].nmsrs = 1;
    filter.ranges[0].base = index;
    filter.ranges[0].bitmap = &none_allowed;
    return ckvm_x86_set_msr_filter(fd, &filter);
}

// KVM_GET_IRQCHIP: the redirection table of the IOAPIC inside KVM. Returns 0, or -errno.
static inline int ckvm_get_redirections(int fd, uint64_t entries[KVM_IOAPIC_NUM_PINS]) {
    struct kvm_irqchip irqchip = {.chip_id = KVM_IRQCHIP_IOAPIC};
    int result = ckvm_get_irqchip(fd, &irqchip);
    for (int pin = 0; result == 0 && pin < KVM_IOAPIC_NUM_PINS; pin++)
        entries[pin] = irqchip.chip.ioapic.redirtbl[pin].bits;
    return result;
}

// The entries behind the header that KVM_GET_CPUID2 and its kin take. Swift does not import flexible array members.
static inline struct kvm_cpuid_entry2 *ckvm_cpuid_entries(struct kvm_cpuid2 *table) {
    return table->entries;
}

// The entries behind the header that KVM_GET_MSRS and KVM_SET_MSRS take.
static inline struct kvm_msr_entry *ckvm_msr_entries(struct kvm_msrs *table) {
    return table->entries;
}

// KVM_GET_MSR_FEATURE_INDEX_LIST, on /dev/kvm. `list` starts with the number of elements that follow it, and so does what
// the kernel leaves there.
static inline int ckvm_get_msr_feature_index_list(int fd, uint32_t *list) {
    return ckvm_ioctl(fd, KVM_GET_MSR_FEATURE_INDEX_LIST, (uintptr_t)list);
}

// KVM_GET_MSRS for one register, on /dev/kvm. Returns 1 when there is such a register, 0 when there is none, or -errno.
static inline int ckvm_get_feature_msr(int fd, uint32_t index, uint64_t *value) {
    _Alignas(struct kvm_msr_entry) unsigned char bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)] = {0};
    struct kvm_msrs *list = (struct kvm_msrs *)bytes;
    list->nmsrs = 1;
    list->entries[0].index = index;
    int result = ckvm_get_msrs(fd, list);
    if (result == 1) *value = list->entries[0].data;
    return result;
}

// Macros with casts or without a type that Swift imports.
static const uint32_t ckvm_ioeventfd_datamatch = KVM_IOEVENTFD_FLAG_DATAMATCH;
static const uint32_t ckvm_guestdbg_enable = KVM_GUESTDBG_ENABLE;
static const uint32_t ckvm_guestdbg_singlestep = KVM_GUESTDBG_SINGLESTEP;
static const uint32_t ckvm_guestdbg_use_sw_bp = KVM_GUESTDBG_USE_SW_BP;
static const uint32_t ckvm_guestdbg_use_hw_bp = KVM_GUESTDBG_USE_HW_BP;
static const uint32_t ckvm_guestdbg_inject_db = KVM_GUESTDBG_INJECT_DB;
static const uint32_t ckvm_guestdbg_inject_bp = KVM_GUESTDBG_INJECT_BP;

#endif
