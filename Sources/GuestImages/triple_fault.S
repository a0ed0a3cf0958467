// triple-fault: the way a PC shuts down when nothing else is left.
//
// With an empty interrupt table, UD2 finds no handler for exception 6; that is a
// fault in itself, which finds none either, and the double fault that comes of
// it finds none again. The CPU gives up and shuts down.
//
// The guest enters protected mode for it. Real mode would do on a real CPU, but
// KVM on some hosts does not look at the size of the table there.

#include "guest.h"

#define CR0_PE              1       // protection enable

        guest_begin triple_fault

        lidt    [no_table]

        // From here on in protected mode. Segments and code stay as they are:
        // with a few bytes to go, there is no need for a descriptor table.
        mov     eax, cr0
        or      al, CR0_PE
        mov     cr0, eax
        ud2

        // The table's size less one, and its address.
        place   no_table
        .word   0
        .long   0

        guest_end triple_fault
