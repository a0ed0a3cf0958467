// Init's frame: the ELF file that it is, its memory, and the macros that its parts use.
//
// Init is assembled into the read-only data of the library, as data that nothing on the host ever executes: a whole
// ELF executable, of which MiniVMM makes a file in the guest. No linker places it at the address where the guest will
// see it, so a label does not hold a guest address. Jumps and calls do not mind, being relative; data is named by
// `place`, which works the address out. An instruction takes such a name as `offset NAME` if it means the address,
// and as `[NAME]` if it means what memory holds there.

// Init's address space. All of it lies below 2 GiB, so that every address fits into an instruction.
#define IMAGE               EXEC_INIT_ADDRESS
#define DATA                0x600000
#define WINDOW              0x20000000
#define REGISTERS           0x20100000

// What stands at DATA. It is zero at the start.
#define DATA_SIZE           0x1000
#define POLL_CHILD          (DATA + 0 * POLL_SIZE)
#define POLL_STDOUT         (DATA + 1 * POLL_SIZE)
#define POLL_STDERR         (DATA + 2 * POLL_SIZE)
#define POLL_STDIN          (DATA + 3 * POLL_SIZE)
#define POLL_DOORBELL       (DATA + 4 * POLL_SIZE)
#define POLL_COUNT          5
#define POLL_TIMEOUT        (DATA + 0x30)   // 32 bits: milliseconds, -1 for ever
#define PROGRAM_PID         (DATA + 0x34)   // 32 bits
#define INPUT_POSITION      (DATA + 0x38)   // 32 bits: the input in the window that the program has yet to get,
#define INPUT_END           (DATA + 0x3C)   // 32 bits: from where to where
#define STDIN_PIPE          (DATA + 0x40)   // two descriptors of 32 bits: to read from, to write to
#define STDOUT_PIPE         (DATA + 0x48)
#define STDERR_PIPE         (DATA + 0x50)
#define FAILURE_PIPE        (DATA + 0x58)
#define READ_END            0
#define WRITE_END           4
#define WORD                (DATA + 0x60)   // 64 bits, for what is handed to a system call
#define SCRATCH             (DATA + 0x100)
#define SCRATCH_SIZE        0x100

// ELF. Source: System V ABI.
#define ELF_HEADER_SIZE     64
#define SEGMENT_HEADER_SIZE 56
#define PT_LOAD             1
#define PT_GNU_STACK        0x6474e551
#define PF_X                1
#define PF_W                2
#define PF_R                4
#define PAGE_SIZE           0x1000

// init_begin ... init_end: what stands between is the image, and C finds it from guest_init_start to guest_init_end.
//
// The section has two parts, put one behind the other: 0 holds the code and data as they are written, 1 only the end.
.macro init_begin
        .intel_syntax noprefix
        .section .rodata.guest_init, "a", @progbits
        .hidden guest_init_start
        .hidden guest_init_end
        .global guest_init_start
        .global guest_init_end
        .balign 16
guest_init_start:
init_start:
        .code64

        // The ELF header: 64 bits, little-endian, version 1; an executable (2) for x86-64 (62).
        .byte   0x7F, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0
        .short  2, 62
        .long   1
        .quad   init_entry              // where it is entered
        .quad   ELF_HEADER_SIZE         // where the segment headers stand in the file
        .quad   0                       // no section headers
        .long   0                       // flags
        .short  ELF_HEADER_SIZE, SEGMENT_HEADER_SIZE, 3, 0, 0, 0

        // The image itself: not to be written to.
        segment PT_LOAD, PF_R | PF_X, IMAGE, image_size, image_size
        // Memory for data: nothing of it is in the file, and nothing there is executed.
        segment PT_LOAD, PF_R | PF_W, DATA, 0, DATA_SIZE
        segment PT_GNU_STACK, PF_R | PF_W, 0, 0, 0
.endm

// segment TYPE, FLAGS, ADDRESS, FILE_SIZE, MEMORY_SIZE: a segment header; the bytes of the file are its first.
.macro segment type, flags, address, file_size, memory_size
        .long   \type, \flags
        .quad   0, \address, \address, \file_size, \memory_size, PAGE_SIZE
.endm

.macro init_end
        .subsection 1
guest_init_end:
        .set    image_size, . - init_start
        .section .note.GNU-stack, "", @progbits
.endm

// place NAME: NAME becomes the address that the next byte has in the guest.
.macro place name
        .set    \name, . - init_start + IMAGE
.endm

// system_call NUMBER, ARGUMENT, ...: calls the kernel. Changes RAX, RCX, R11, and the registers of the arguments:
// RDI, RSI, RDX, R10, R8, R9. They are loaded in this order; an argument can be any register that was not loaded
// before it. An argument of two words, such as `offset NAME`, stands in quotation marks.
.macro system_call number, first, second, third, fourth, fifth, sixth
        .ifnb   \first
        mov     rdi, \first
        .endif
        .ifnb   \second
        mov     rsi, \second
        .endif
        .ifnb   \third
        mov     rdx, \third
        .endif
        .ifnb   \fourth
        mov     r10, \fourth
        .endif
        .ifnb   \fifth
        mov     r8, \fifth
        .endif
        .ifnb   \sixth
        mov     r9, \sixth
        .endif
        mov     eax, \number
        syscall
.endm

// fail_on_error STEP: gives up if the system call before it failed.
.macro fail_on_error step
        mov     edi, \step
        test    rax, rax
        js      fail
.endm
