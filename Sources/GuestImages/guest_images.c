// The table of the built-in guests.

#include "guest_images.h"

#include <string.h>

// All of them: the name that users see, the symbol that the guest's source file gives to its image, and a summary of
// less than 70 characters. A new guest needs a source file and a line here.
#define GUESTS(guest)                                                                                  \
    guest("hello", hello, "Prints one line and halts")                                                 \
    guest("counters", counters, "Reads its exit counters around known work and checks the sums")       \
    guest("storm", storm, "Writes to port 0x80 ARGUMENT times, a million by default")                  \
    guest("smp", smp, "Makes known exits on all CPUs (--cpus) and checks the sums")                    \
    guest("storm-smp", storm_smp, "Writes to port 0x80 ARGUMENT times on every CPU")                   \
    guest("mmio", mmio, "Reads and writes memory addresses where there is no device")                  \
    guest("string-io", string_io, "Moves blocks to and from ports by REP OUTS and REP INS")            \
    guest("boot-sector", boot_sector, "A textbook boot sector that prints through the BIOS")           \
    guest("fault", fault, "Executes an undefined instruction without a handler for it")                \
    guest("divide", divide, "Divides by zero without a handler for it")                                \
    guest("triple-fault", triple_fault, "Faults with an empty interrupt table, and so shuts down")     \
    guest("spin", spin, "Prints one line and loops for ever")

// guest_begin and guest_end in guest.h define these symbols.
#define DECLARE(name, symbol, summary)                                               \
    extern const unsigned char guest_##symbol##_start[], guest_##symbol##_end[];

GUESTS(DECLARE)

#define DESCRIBE(name, symbol, summary) {name, summary, guest_##symbol##_start, guest_##symbol##_end},

static const struct guest_image guest_images[] = {GUESTS(DESCRIBE)};

size_t guest_image_count(void) {
    return sizeof(guest_images) / sizeof(guest_images[0]);
}

const struct guest_image *guest_image_at(size_t index) {
    return index < guest_image_count() ? &guest_images[index] : NULL;
}

const struct guest_image *guest_image_named(const char *name) {
    for (size_t i = 0; i < guest_image_count(); i++) {
        if (strcmp(guest_images[i].name, name) == 0) {
            return &guest_images[i];
        }
    }
    return NULL;
}

size_t guest_image_size(const struct guest_image *image) {
    return (size_t)(image->end - image->start);
}
