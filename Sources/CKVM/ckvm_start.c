// Where the release begins, in front of the C library's _start: Scripts/build-release names ckvm_start as the entry. No other
// build does, and has it for nothing.
//
// A program that is loaded at an address that nobody can know before sets right fifty thousand addresses at its start. Each of
// the 180 pages that they are on is a copy that the kernel makes when the first of them is written, at a page fault each.
// Here it is asked for all of them at once, which takes half the time.
//
// Nothing is set right yet where this runs: no address in memory, no thread's own variables, no C library. So what it needs it
// takes from the stack, where the kernel has put it, and from the program's headers.

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__) && defined(__linux__)

// Source: Linux, include/uapi/asm-generic/mman-common.h. Since Linux 5.14; others refuse it, and nothing is lost.
#define CKVM_MADV_POPULATE_WRITE 23L

// Source: System V ABI, gABI, "Dynamic Section". Not in every C library's elf.h.
#define CKVM_DT_RELRSZ 35
#define CKVM_DT_RELR 36

#define CKVM_PAGE_SIZE 4096ul
// The addresses that a bitmap stands for, which is a word whose lowest bit is set. Source: gABI, "Relocation".
#define CKVM_RELR_BITS 63

// What the dynamic section says of the addresses: where their table is, and its size in bytes.
struct ckvm_relr {
    const uint64_t *words;
    size_t count;
};

__attribute__((no_stack_protector)) static void ckvm_populate(uintptr_t start, uintptr_t end) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((long)SYS_madvise), "D"(start), "S"(end - start), "d"(CKVM_MADV_POPULATE_WRITE)
                     : "rcx", "r11", "memory");
    // Where it was refused, pages are copied one by one.
    (void)result;
}

// The auxiliary vector is behind the arguments and the environment, each of which ends with a null.
// Source: System V ABI, AMD64 supplement, "Initial Stack and Register State".
__attribute__((no_stack_protector)) static const Elf64_auxv_t *ckvm_auxiliary_vector(const uint64_t *stack) {
    const uint64_t *word = stack + 1 + stack[0] + 1;
    while (*word != 0) word++;
    return (const Elf64_auxv_t *)(word + 1);
}

__attribute__((no_stack_protector)) static struct ckvm_relr ckvm_find_relr(const Elf64_Dyn *dynamic, uintptr_t base) {
    struct ckvm_relr table = {NULL, 0};
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == CKVM_DT_RELR) table.words = (const uint64_t *)(base + dynamic->d_un.d_ptr);
        if (dynamic->d_tag == CKVM_DT_RELRSZ) table.count = dynamic->d_un.d_val / sizeof(uint64_t);
    }
    if (table.words == NULL) table.count = 0;
    return table;
}

// Asks for the pages of all addresses, by stretches that touch. They come in ascending order.
__attribute__((no_stack_protector)) static void ckvm_populate_relr(struct ckvm_relr table, uintptr_t base) {
    uintptr_t start = 0, end = 0, next = 0;
    for (size_t i = 0; i < table.count; i++) {
        int is_bitmap = table.words[i] & 1;
        uintptr_t first = is_bitmap ? next : base + table.words[i];
        next = first + (is_bitmap ? CKVM_RELR_BITS : 1) * sizeof(uint64_t);
        // The last page of a bitmap may have none of its addresses, and is the program's own all the same or refused.
        uintptr_t page = first & ~(CKVM_PAGE_SIZE - 1);
        uintptr_t page_end = (next + CKVM_PAGE_SIZE - 1) & ~(CKVM_PAGE_SIZE - 1);
        if (page > end) {
            if (end > start) ckvm_populate(start, end);
            start = page;
        }
        if (page_end > end) end = page_end;
    }
    if (end > start) ckvm_populate(start, end);
}

// Sound: the stack is as the kernel left it, and the headers are those of this program, by which it was loaded.
__attribute__((used, no_stack_protector, visibility("hidden"))) void ckvm_before_start(const uint64_t *stack) {
    const Elf64_Phdr *headers = NULL;
    size_t count = 0;
    for (const Elf64_auxv_t *value = ckvm_auxiliary_vector(stack); value->a_type != AT_NULL; value++) {
        if (value->a_type == AT_PHDR) headers = (const Elf64_Phdr *)value->a_un.a_val;
        if (value->a_type == AT_PHNUM) count = value->a_un.a_val;
    }
    if (headers == NULL) return;
    // The headers are right behind that of the file, with which the first segment begins.
    uintptr_t base = (uintptr_t)headers - sizeof(Elf64_Ehdr);
    for (size_t i = 0; i < count; i++) {
        if (headers[i].p_type != PT_DYNAMIC) continue;
        ckvm_populate_relr(ckvm_find_relr((const Elf64_Dyn *)(base + headers[i].p_vaddr), base), base);
    }
}

// The entry: what _start finds in registers and on the stack is left as it was. RDX is a function for it to call at the end,
// and is pushed twice because the stack of a call is a multiple of 16. A library has no _start.
__attribute__((naked, used)) void ckvm_start(void) {
    __asm__(".weak _start\n\t"
            "mov %rsp, %rdi\n\t"
            "push %rdx\n\t"
            "push %rdx\n\t"
            "call ckvm_before_start\n\t"
            "pop %rdx\n\t"
            "pop %rdx\n\t"
            "jmp _start");
}

#endif
