// What the built-in guests have in common: the machine they run on, in named
// constants; the two directives that frame an image; and the routines that
// print. Included by every guest, and assembled into that guest: each image is
// complete in itself.
//
// A guest is a flat 16-bit program, the shape of a PC's boot sector. It is
// assembled into the read-only data of the library, as data that nothing on the
// host ever executes. No linker places it at the address where the guest will
// see it, so a label does not hold a guest address. Jumps and calls do not
// mind, being relative; data is named by `place`, which works the address out.
// An instruction takes such a name as `offset NAME` if it means the address, the
// number itself, and as `[NAME]` if it means what memory holds there.
//
// At entry: CS:IP = 0000:7C00, DS = ES = SS = 0, SP = 0x7C00, interrupts off,
// ECX = the argument of the run (0 if there was none).
//
// The assembler gives `call` and `ret` their 32-bit forms, also in 16-bit code.
// They fit each other, and cost no more than four bytes of stack and a prefix.

// Where the guest stands.
#define LOAD_ADDRESS        0x7C00

// Ports.
#define PORT_POST           0x80    // power-on self-test codes: claimed, ignored
#define PORT_DEBUG          0xE9    // prints the byte that is written
#define PORT_EXIT           0xF4    // ends the run with the byte that is written
#define PORT_UNCLAIMED      0x1F50  // nobody's: reads as all ones

// Exit statuses.
#define STATUS_OK           0
#define STATUS_MISMATCH     1

// Segments of memory-mapped devices that a PC has and this machine has not:
// reads give all ones, writes vanish, and each access is one MMIO exit.
#define SEGMENT_GRAPHICS    0xA000  // linear address 0xA0000
#define SEGMENT_TEXT        0xB800  // linear address 0xB8000

// The first of the four leaves of CPUID that hold the hypervisor's counters.
#define COUNTER_LEAVES      0x4FFFFFFC

// Basic exit reasons, as the Intel SDM numbers them.
#define REASON_CPUID        10
#define REASON_IO           30
#define REASON_MMIO         48      // "EPT violation"

// Two readings of the counters, before some work and after it: where a guest keeps
// them, in free memory above the image, and how wide a column they print in.
#define BEFORE              0x9000
#define AFTER               0x9100
#define COLUMN              12

// BIOS.
#define BIOS_VIDEO          0x10    // the interrupt
#define BIOS_TELETYPE       0x0E    // its function that prints AL

// The text of a constant, to quote it in a message.
#define TEXT_OF(constant)   TEXT_OF_(constant)
#define TEXT_OF_(constant)  #constant

// guest_begin NAME ... guest_end NAME: what stands between is the image, and C
// finds it from guest_NAME_start to guest_NAME_end.
//
// The section has three parts, put one behind the other: 0 holds code and data
// as they are written, 1 the messages that `print` collects, 2 only the end.
.macro guest_begin name
        .intel_syntax noprefix
        .section .rodata.guest_\name, "a", @progbits
        .hidden guest_\name\()_start
        .hidden guest_\name\()_end
        .global guest_\name\()_start
        .global guest_\name\()_end
        .balign 16
guest_\name\()_start:
guest_start:
        .code16
.endm

.macro guest_end name
        .subsection 2
guest_\name\()_end:
        .section .note.GNU-stack, "", @progbits
.endm

// place NAME: NAME becomes the address that the next byte has in the guest.
.macro place name
        .set    \name, . - guest_start + LOAD_ADDRESS
.endm

// print "TEXT", "MORE", ...: prints the texts, one behind the other. Changes SI
// and AL.
.macro print text:vararg
        mov     si, offset message_\@
        call    print_string
        .subsection 1
        place   message_\@
        .ascii  \text
        .byte   0
        .subsection 0
.endm

// end_run STATUS: ends the run with an exit status.
.macro end_run status
        mov     al, \status
        out     PORT_EXIT, al
        // Where no one claims the port the guest goes on: stop it here.
        cli
        hlt
.endm

// The routines. A guest lists those that it uses, behind its own code.

// print_string: prints the bytes from SI up to a zero, one OUT a byte.
// Changes SI and AL.
.macro routine_print_string
print_string:
        lodsb
        test    al, al
        jz      1f
        out     PORT_DEBUG, al
        jmp     print_string
1:
        ret
.endm

// print_hex: prints the low CL digits of EAX in base 16. Changes nothing.
.macro routine_print_hex
print_hex:
        pushad
        mov     ebx, eax
        movzx   di, cl              // DI = digits left

        // Bring the first digit wanted to the top: drop the 8 - CL above it.
        neg     cl
        add     cl, 8
        shl     cl, 2               // four bits a digit
        shl     ebx, cl
1:
        // Turn the top digit around to the bottom, and print it.
        rol     ebx, 4
        mov     al, bl
        and     al, 0x0F
        cmp     al, 10
        jb      2f
        add     al, 'A' - '0' - 10  // the letters do not follow the digits
2:
        add     al, '0'
        out     PORT_DEBUG, al
        dec     di
        jnz     1b
        popad
        ret
.endm

// print_decimal64: prints EDX:EAX in base 10, with blanks in front if it has
// fewer than CL digits. print_decimal32: the same of EAX alone. Both change
// nothing.
.macro routine_print_decimal
print_decimal32:
        push    edx
        xor     edx, edx
        call    print_decimal64
        pop     edx
        ret

print_decimal64:
        pushad
        mov     ebx, 10
        movzx   bp, cl              // BP = width wanted
        xor     cx, cx              // CX = digits found
1:
        // EDX:EAX / 10 in two steps, high half first, since one DIV cannot give
        // a quotient of more than 32 bits. The digits come last one first:
        // they wait on the stack.
        mov     esi, eax
        mov     eax, edx
        xor     edx, edx
        div     ebx                 // EAX = high half of the quotient
        xchg    eax, esi
        div     ebx                 // EAX = low half, EDX = the digit
        push    dx
        inc     cx
        mov     edx, esi
        mov     esi, eax
        or      esi, edx
        jnz     1b

        // Blanks, as many as the width exceeds the digits by.
        sub     bp, cx
        jle     3f
        mov     al, ' '
2:
        out     PORT_DEBUG, al
        dec     bp
        jnz     2b
3:
        // The digits.
        pop     ax
        add     al, '0'
        out     PORT_DEBUG, al
        dec     cx
        jnz     3b
        popad
        ret
.endm

// print_count: prints before, after and difference of the count at BX in the two
// readings, and the difference expected, ECX. Counts in BP if the two differ.
// Changes EAX, EDX. print_count_heading: the heading of such lines. Changes SI, AL.
.macro routine_print_count
print_count_heading:
        print   "                before       after  difference    expected\n"
        ret

print_count:
        mov     edx, ecx            // CL is needed for the width
        mov     cl, COLUMN
        mov     eax, [bx + BEFORE]
        call    print_decimal32
        mov     eax, [bx + AFTER]
        call    print_decimal32
        sub     eax, [bx + BEFORE]
        call    print_decimal32
        cmp     eax, edx
        je      1f
        inc     bp
1:
        mov     eax, edx
        call    print_decimal32
        ret
.endm
