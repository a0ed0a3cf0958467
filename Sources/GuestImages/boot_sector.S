// boot-sector: a textbook boot sector.
//
// It trusts nothing that the firmware left behind, prints a line through the
// BIOS, and stops. Exactly 512 bytes, with the signature that a BIOS looks for
// in the last two: written to a disk, it also boots a real PC.

#include "guest.h"

#define SECTOR_SIZE         512
#define SIGNATURE           0xAA55

        guest_begin boot_sector

        // Set up the segments and a stack that grows down from the code. The
        // load of SS holds off interrupts until SP is loaded as well.
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, LOAD_ADDRESS
        cld                         // strings go upward

        mov     si, offset greeting
        mov     ah, BIOS_TELETYPE
        xor     bx, bx              // page 0
next:
        // Print the bytes from SI up to a zero.
        lodsb
        test    al, al
        jz      stop
        int     BIOS_VIDEO
        jmp     next

stop:
        // For good: if something wakes the CPU all the same, halt again.
        cli
        hlt
        jmp     stop

        place   greeting
        .asciz  "Hello from a boot sector!\r\n"

        // Zeros up to the signature.
        .fill   SECTOR_SIZE - 2 - (. - guest_start), 1, 0
        .word   SIGNATURE

        guest_end boot_sector
