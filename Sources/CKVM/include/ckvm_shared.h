// Memory that a guest changes while this process looks at it: every value is read or written once, in an order that the
// other side can rely on.

#ifndef CKVM_SHARED_H
#define CKVM_SHARED_H

#include <stdint.h>
#include <string.h>

// A value of 16 bits; what is read or written after it in the program comes after it for the guest, too. The address is
// even.
static inline uint16_t ckvm_load_shared_16(const void *address) {
    return __atomic_load_n((const uint16_t *)address, __ATOMIC_ACQUIRE);
}

// The same for writing: what was read or written before it in the program comes before it for the guest, too.
static inline void ckvm_store_shared_16(void *address, uint16_t value) {
    __atomic_store_n((uint16_t *)address, value, __ATOMIC_RELEASE);
}

// What was written before is visible to the guest before anything is read after it.
static inline void ckvm_shared_fence(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// Copies bytes out of such memory: once, whatever the compiler would like to read again.
static inline void ckvm_copy_shared(void *to, const void *from, size_t count) {
    memcpy(to, from, count);
    __asm__ volatile("" ::: "memory");
}

#endif
