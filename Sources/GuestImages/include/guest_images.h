#ifndef GUEST_IMAGES_H
#define GUEST_IMAGES_H

#include <stddef.h>

#pragma clang assume_nonnull begin

/// A guest that is built in: a flat 16-bit image, to be loaded at linear address 0x7C00 and entered there in real mode.
///
/// Descriptors and images are constants of the program: they live as long as it does, and any thread may read them.
struct guest_image {
    /// What a user calls it, such as `triple-fault`.
    const char *name;
    /// What it does, in one line.
    const char *summary;
    /// The first byte of the image.
    const unsigned char *start;
    /// Where the image ends: the address past its last byte.
    const unsigned char *end;
};

/// The number of built-in guests.
size_t guest_image_count(void);

/// The built-in guest of an index from 0 up to the count, in the order in which to list them; null past the end.
const struct guest_image *_Nullable guest_image_at(size_t index);

/// The built-in guest of a name; null if there is none.
const struct guest_image *_Nullable guest_image_named(const char *name);

/// The number of bytes in an image.
size_t guest_image_size(const struct guest_image *image);

#pragma clang assume_nonnull end

#endif
