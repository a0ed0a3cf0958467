// The least that runs a flat guest on KVM, to hold MiniVMM against.
//
//     bare-kvm [--inline] [--cpus N] IMAGE [ARGUMENT]
//
// --inline enters the guest by the system call itself, as MiniVMM does, and not by the C library's ioctl. With --cpus there
// are several vCPUs, each on a thread of its own, and KVM's interrupt controllers, by which the first starts the others.
//
// It makes the machine that `minivmm run` makes, with the same ioctls in the same number and order, and then loops over
// KVM_RUN. Per exit it looks at the exit reason, prints what goes to the debug port, and does nothing else: no counter,
// no clock, no table of devices, no second thread, no way to be stopped. What MiniVMM takes more than this is what its
// counters and everything else cost.
//
// It ends with status 0 at the guest's HLT, or when the guest writes to the port that ends a run, and with status 1 and a message at anything it has no use for.

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// The memory of a flat guest: a PC's 640 KiB, the 64 KiB of its BIOS, and the rest from 1 MiB up.
#define MEMORY_SIZE (16u << 20)
#define CONVENTIONAL_SIZE 0xa0000u
#define BIOS_START 0xf0000u
#define BIOS_SIZE 0x10000u
#define EXTENDED_START 0x100000u
#define EXTENDED_SIZE (MEMORY_SIZE - EXTENDED_START)

#define LOAD_ADDRESS 0x7c00u
#define DEBUG_PORT 0xe9
#define EXIT_PORT 0xf4

// Where KVM may keep its own pages on Intel processors: in the hole that every PC leaves under 4 GiB.
#define IDENTITY_MAP_ADDRESS 0xfffbc000u
#define TSS_ADDRESS 0xfffbd000u

// The maximum number of entries that KVM takes (KVM_MAX_CPUID_ENTRIES), and the leaves of MiniVMM's counters.
#define CPUID_ENTRIES 256
#define COUNTER_LEAVES 0x4ffffffcu
#define COUNTER_LEAF_COUNT 4

#define MAXIMUM_CPUS 16

struct vcpu {
    int fd;
    struct kvm_run *run;
    bool is_inline;
};

struct machine {
    int kvm, vm;
    unsigned count;
    struct vcpu vcpus[MAXIMUM_CPUS];
    uint8_t *memory;
    size_t run_size;
};

static void fail(const char *what) {
    fprintf(stderr, "bare-kvm: %s: %s\n", what, strerror(errno));
    exit(1);
}

// An ioctl that must not fail.
static int checked(const char *name, int fd, unsigned long request, uintptr_t argument) {
    int result = ioctl(fd, request, argument);
    if (result < 0) fail(name);
    return result;
}

#define CHECKED(fd, request, argument) checked(#request, fd, request, (uintptr_t)(argument))

static void open_kvm(struct machine *machine) {
    machine->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (machine->kvm < 0) fail("/dev/kvm");
    CHECKED(machine->kvm, KVM_GET_API_VERSION, 0);
    // The answers do not matter here; the questions cost what they cost in MiniVMM.
    CHECKED(machine->kvm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY);
    CHECKED(machine->kvm, KVM_CHECK_EXTENSION, KVM_CAP_EXT_CPUID);
    CHECKED(machine->kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT);
    CHECKED(machine->kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
}

// All regions of the guest's memory are cut out of one mapping, one behind the other.
static void map_memory(struct machine *machine) {
    size_t size = CONVENTIONAL_SIZE + BIOS_SIZE + EXTENDED_SIZE;
    machine->memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (machine->memory == MAP_FAILED) fail("guest memory");
}

static void load(struct machine *machine, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(path);
    ssize_t size = read(fd, machine->memory + LOAD_ADDRESS, CONVENTIONAL_SIZE - LOAD_ADDRESS);
    if (size < 0) fail(path);
    close(fd);
}

static void add_region(struct machine *machine, uint32_t slot, uint64_t start, uint64_t size, size_t offset) {
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .guest_phys_addr = start,
        .memory_size = size,
        .userspace_addr = (uintptr_t)machine->memory + offset,
    };
    CHECKED(machine->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void create_vm(struct machine *machine) {
    machine->vm = CHECKED(machine->kvm, KVM_CREATE_VM, 0);
    machine->run_size = CHECKED(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    add_region(machine, 0, 0, CONVENTIONAL_SIZE, 0);
    add_region(machine, 1, BIOS_START, BIOS_SIZE, CONVENTIONAL_SIZE);
    add_region(machine, 2, EXTENDED_START, EXTENDED_SIZE, CONVENTIONAL_SIZE + BIOS_SIZE);

    uint64_t identity_map = IDENTITY_MAP_ADDRESS;
    CHECKED(machine->vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
    CHECKED(machine->vm, KVM_SET_TSS_ADDR, TSS_ADDRESS);
    if (CHECKED(machine->vm, KVM_CHECK_EXTENSION, KVM_CAP_EXIT_ON_EMULATION_FAILURE) > 0) {
        struct kvm_enable_cap cap = {.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = {1}};
        CHECKED(machine->vm, KVM_ENABLE_CAP, &cap);
    }
    if (machine->count > 1) {
        CHECKED(machine->vm, KVM_CREATE_IRQCHIP, 0);
        struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
        CHECKED(machine->vm, KVM_CREATE_PIT2, &pit);
    }
}

// The table that KVM supports, with the hypervisor's bit and the counters' leaves, as MiniVMM gives it to its guests.
static struct kvm_cpuid2 *make_cpuid(const struct machine *machine) {
    size_t size = sizeof(struct kvm_cpuid2) + CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2);
    struct kvm_cpuid2 *table = calloc(1, size);
    if (table == NULL) fail("CPUID table");
    table->nent = CPUID_ENTRIES - COUNTER_LEAF_COUNT;
    CHECKED(machine->kvm, KVM_GET_SUPPORTED_CPUID, table);
    for (uint32_t i = 0; i < table->nent; i++) {
        if (table->entries[i].function == 1) table->entries[i].ecx |= 1u << 31;
    }
    for (uint32_t leaf = 0; leaf < COUNTER_LEAF_COUNT; leaf++) {
        table->entries[table->nent++] = (struct kvm_cpuid_entry2){.function = COUNTER_LEAVES + leaf};
    }
    return table;
}

// Tells a vCPU by the table how many there are and which it is.
// Source: Intel SDM, CPUID, leaf 1 (EBX, EDX bit 28) and leaf 0Bh (EDX).
static void number_cpu(const struct machine *machine, struct kvm_cpuid2 *table, uint32_t number) {
    if (machine->count == 1) return;
    for (uint32_t i = 0; i < table->nent; i++) {
        struct kvm_cpuid_entry2 *entry = &table->entries[i];
        if (entry->function == 1) {
            entry->ebx = (entry->ebx & 0xffff) | machine->count << 16 | number << 24;
            entry->edx |= 1u << 28;
        }
        if (entry->function == 0xb) entry->edx = number;
    }
}

// Real mode at 0000:7C00, data segments and interrupts as a PC's boot sector finds them, the argument in ECX.
static void set_registers(int vcpu, uint32_t argument) {
    struct kvm_sregs special;
    CHECKED(vcpu, KVM_GET_SREGS, &special);
    struct kvm_segment *segments[] = {&special.cs, &special.ds, &special.es, &special.fs, &special.gs, &special.ss};
    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++) {
        segments[i]->selector = 0;
        segments[i]->base = 0;
    }
    CHECKED(vcpu, KVM_SET_SREGS, &special);

    struct kvm_regs registers = {
        .rip = LOAD_ADDRESS,
        .rflags = 2, // bit 1 is always one
        .rsp = LOAD_ADDRESS,
        .rcx = argument,
        .rdx = 0x80, // the first hard disk, where a boot sector looks for it
    };
    CHECKED(vcpu, KVM_SET_REGS, &registers);
}

static void create_vcpus(struct machine *machine, uint32_t argument, bool is_inline) {
    struct kvm_cpuid2 *cpuid = make_cpuid(machine);
    for (unsigned i = 0; i < machine->count; i++) {
        struct vcpu *vcpu = &machine->vcpus[i];
        vcpu->is_inline = is_inline;
        vcpu->fd = CHECKED(machine->vm, KVM_CREATE_VCPU, i);
        vcpu->run = mmap(NULL, machine->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
        if (vcpu->run == MAP_FAILED) fail("run page");
        number_cpu(machine, cpuid, i);
        CHECKED(vcpu->fd, KVM_SET_CPUID2, cpuid);
    }
    free(cpuid);
    set_registers(machine->vcpus[0].fd, argument);
    CHECKED(machine->kvm, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);
    CHECKED(machine->vcpus[0].fd, KVM_GET_TSC_KHZ, 0);
}

// The debug port prints what is written to it, byte by byte and unbuffered, as MiniVMM's does.
static void service_io(struct kvm_run *run) {
    if (run->io.direction != KVM_EXIT_IO_OUT) return;
    if (run->io.port == EXIT_PORT) exit(*((const uint8_t *)run + run->io.data_offset));
    if (run->io.port != DEBUG_PORT) return;
    const uint8_t *byte = (const uint8_t *)run + run->io.data_offset;
    if (write(STDOUT_FILENO, byte, 1) != 1) fail("standard output");
}

static inline long run_by_library(int vcpu) {
    return ioctl(vcpu, KVM_RUN, 0);
}

static inline long run_inline(int vcpu) {
    long result = SYS_ioctl;
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"((long)vcpu), "S"((long)KVM_RUN), "d"(0L)
                     : "rcx", "r11", "memory");
    if (result >= 0) return result;
    errno = (int)-result;
    return -1;
}

// The loop, compiled once for each way to enter the guest. Returns false at an exit that has no place here.
static inline __attribute__((always_inline)) bool run_until_halt(struct vcpu *vcpu, bool is_inline) {
    while (true) {
        long result = is_inline ? run_inline(vcpu->fd) : run_by_library(vcpu->fd);
        if (result < 0) {
            // A vCPU that waits for its start-up interrupt returns once before it goes on.
            if (errno == EAGAIN) continue;
            fail("KVM_RUN");
        }
        switch (vcpu->run->exit_reason) {
        case KVM_EXIT_IO:
            service_io(vcpu->run);
            break;
        case KVM_EXIT_HLT:
            return true;
        default:
            fprintf(stderr, "bare-kvm: exit reason %u\n", vcpu->run->exit_reason);
            return false;
        }
    }
}

static bool run_vcpu(struct vcpu *vcpu) {
    return vcpu->is_inline ? run_until_halt(vcpu, true) : run_until_halt(vcpu, false);
}

static void *run_thread(void *vcpu) {
    if (!run_vcpu(vcpu)) exit(1);
    return NULL;
}

// The first vCPU has the thread of the process.
static bool run(struct machine *machine) {
    for (unsigned i = 1; i < machine->count; i++) {
        pthread_t thread;
        errno = pthread_create(&thread, NULL, run_thread, &machine->vcpus[i]);
        if (errno != 0) fail("thread");
    }
    return run_vcpu(&machine->vcpus[0]);
}

// MiniVMM gives everything back before it ends, so this does too.
static void release(struct machine *machine) {
    for (unsigned i = 0; i < machine->count; i++) {
        close(machine->vcpus[i].fd);
        munmap(machine->vcpus[i].run, machine->run_size);
    }
    close(machine->vm);
    munmap(machine->memory, CONVENTIONAL_SIZE + BIOS_SIZE + EXTENDED_SIZE);
    close(machine->kvm);
}

int main(int count, char **arguments) {
    bool is_inline = false;
    struct machine machine = {.count = 1};
    int next = 1;
    for (; next < count && arguments[next][0] == '-'; next++) {
        if (strcmp(arguments[next], "--inline") == 0) is_inline = true;
        else if (strcmp(arguments[next], "--cpus") == 0 && next + 1 < count)
            machine.count = (unsigned)strtoul(arguments[++next], NULL, 0);
        else break;
    }
    if (count - next < 1 || count - next > 2 || machine.count < 1 || machine.count > MAXIMUM_CPUS) {
        fprintf(stderr, "usage: bare-kvm [--inline] [--cpus N] IMAGE [ARGUMENT]\n");
        return 64;
    }
    uint32_t argument = count - next == 2 ? (uint32_t)strtoul(arguments[next + 1], NULL, 0) : 0;

    open_kvm(&machine);
    map_memory(&machine);
    load(&machine, arguments[next]);
    create_vm(&machine);
    create_vcpus(&machine, argument, is_inline);
    bool halted = run(&machine);
    release(&machine);
    return halted ? 0 : 1;
}
