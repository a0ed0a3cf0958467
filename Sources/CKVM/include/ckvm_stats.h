// What KVM_GET_STATS_FD gives: a file that holds a header, descriptors and numbers.
//
// Source: Linux, Documentation/virt/kvm/api.rst, section "KVM_GET_STATS_FD".

#ifndef CKVM_STATS_H
#define CKVM_STATS_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

// struct kvm_stats_desc without the name that follows it. Swift does not import flexible array members.
struct ckvm_stats_descriptor {
    uint32_t flags;
    int16_t exponent;
    uint16_t size;
    uint32_t offset;
    uint32_t bucket_size;
};

_Static_assert(sizeof(struct ckvm_stats_descriptor) == sizeof(struct kvm_stats_desc), "as long as the kernel's");
_Static_assert(offsetof(struct ckvm_stats_descriptor, size) == offsetof(struct kvm_stats_desc, size), "size");
_Static_assert(offsetof(struct ckvm_stats_descriptor, offset) == offsetof(struct kvm_stats_desc, offset), "offset");

// The parts of `flags`, as numbers that start at 0.
static inline uint32_t ckvm_stats_type(uint32_t flags) {
    return (flags & KVM_STATS_TYPE_MASK) >> KVM_STATS_TYPE_SHIFT;
}

static inline uint32_t ckvm_stats_unit(uint32_t flags) {
    return (flags & KVM_STATS_UNIT_MASK) >> KVM_STATS_UNIT_SHIFT;
}

static inline uint32_t ckvm_stats_base(uint32_t flags) {
    return (flags & KVM_STATS_BASE_MASK) >> KVM_STATS_BASE_SHIFT;
}

#endif
