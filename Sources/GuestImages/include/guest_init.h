#ifndef GUEST_INIT_H
#define GUEST_INIT_H

#include <stddef.h>

#include "exec_channel.h"

#pragma clang assume_nonnull begin

/// The init of a Linux guest that runs one program: a static ELF executable for x86-64, as a constant of the program.
const unsigned char *guest_init_image(void);

/// The number of its bytes.
size_t guest_init_size(void);

#pragma clang assume_nonnull end

#endif
