#include "guest_init.h"

// init_begin and init_end in init/init.h define these symbols.
extern const unsigned char guest_init_start[], guest_init_end[];

const unsigned char *guest_init_image(void) {
    return guest_init_start;
}

size_t guest_init_size(void) {
    return (size_t)(guest_init_end - guest_init_start);
}
