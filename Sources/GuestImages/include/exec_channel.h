// What MiniVMM and the init of an `exec` guest agree upon. Constants only: init's assembly includes this file as well
// as C and Swift do.
//
// The channel is like a card with shared memory: a few registers, and a window of memory in the address range that a PC
// leaves to such cards. Init puts up to EXEC_OUTPUT_SIZE bytes into the window, and one write to a register hands them
// all over; one read from a register fills the window with input. A byte of a serial port costs an exit or more, and
// even REP OUTS costs one an item, for KVM's emulator (em_out) hands them out singly; here an exit carries as much as
// the program has written at once. What is moved is the program's bytes and nothing else: no line discipline and no
// driver lies between.
//
// Init, which runs at privilege level 3, maps both through /dev/mem. A kernel with CONFIG_STRICT_DEVMEM allows that:
// neither is in the memory map, so they are nobody's memory. (I/O ports, to which ioperm(2) gives access, would do as
// well, but QEMU, which the tests run under, refuses such access once KVM_SET_SREGS has loaded the task register: it
// does not know the type of a busy task segment.)

#ifndef EXEC_CHANNEL_H
#define EXEC_CHANNEL_H

// Where init is loaded in its own address space.
#define EXEC_INIT_ADDRESS       0x400000

// The registers, of 32 bits each: guest-physical address, the bytes that they take, and what they do.
#define EXEC_REGISTERS_ADDRESS  0xF0000000
#define EXEC_REGISTERS_SIZE     0x1000
// Written: that many bytes of the window's output area are what the program wrote to its standard output. MiniVMM takes
// them before the instruction ends, and stores 0 at EXEC_RESULT_OFFSET; or an error number, if nobody takes output any
// more.
#define EXEC_REGISTER_STDOUT    0
// Written: the same of standard error.
#define EXEC_REGISTER_STDERR    4
// Read: MiniVMM puts standard input into the window's input area. The value is the number of bytes; or 0, if there are
// none yet: then a byte arrives at the first serial port once there are, or the end; or EXEC_INPUT_END.
#define EXEC_REGISTER_STDIN     8
// Written: the run is over. The value is what wait4(2) says of the program; or EXEC_FAILURE, a step and an error
// number.
#define EXEC_REGISTER_STATUS    12
// Written: that many bytes of the window's output area are the next part of the kernel's symbols; 0 is their end. Only
// with EXEC_SEND_SYMBOLS, after the program's end.
#define EXEC_REGISTER_SYMBOLS   16
// Written: the same of the program's mappings, just before it ends.
#define EXEC_REGISTER_MAPPINGS  20

#define EXEC_INPUT_END          0xFFFFFFFF

// Bits of a failure: the mark, then what init was doing (see below), then the error number in the low 16 bits.
#define EXEC_FAILURE            0x80000000
#define EXEC_FAILURE_SHIFT      16

// What init was doing when it failed.
#define EXEC_STEP_WINDOW        1       // mapping the window
#define EXEC_STEP_ORDER         2       // reading the order
#define EXEC_STEP_RESOURCES     3       // making pipes and a process
#define EXEC_STEP_DIRECTORY     4       // changing to the working directory
#define EXEC_STEP_EXECUTE       5       // executing the program
#define EXEC_STEP_MODULES       6       // loading a module of the kernel
#define EXEC_STEP_NETWORK       7       // setting up the network interface
#define EXEC_STEP_SHARES        8       // mounting a folder of the host

// The window: guest-physical address and bytes, and what lies where in it. Where option cards had theirs.
#define EXEC_WINDOW_ADDRESS     0xD0000
#define EXEC_WINDOW_SIZE        0x10000
#define EXEC_OUTPUT_OFFSET      0x0000
#define EXEC_OUTPUT_SIZE        0x8000
#define EXEC_INPUT_OFFSET       0x8000
#define EXEC_INPUT_SIZE         0x7000
#define EXEC_RESULT_OFFSET      0xF000  // 32 bits

// The order: a file in the guest's root file system that says what to execute. It is made for the address that init
// maps it to, so that the pointers in it need no change: a header of 64-bit fields, and whatever these point to.
#define EXEC_ORDER_ADDRESS      0x10000000
#define EXEC_ORDER_LIMIT        0x1000000   // bytes
#define EXEC_ORDER_FLAGS        0       // EXEC_MERGE_OUTPUT
#define EXEC_ORDER_PROGRAM      8       // the path of the program
#define EXEC_ORDER_DIRECTORY    16      // the working directory
#define EXEC_ORDER_ARGUMENTS    24      // pointers to the arguments, and a null pointer
#define EXEC_ORDER_ENVIRONMENT  32      // the same of the environment
#define EXEC_ORDER_MODULES      40      // modules of the kernel, in order: of each a pointer to its path, and flags of
                                        // finit_module(2); and a null pointer
#define EXEC_ORDER_SHARES       48      // folders of the host, in order: of each pointers to its tag and to the path
                                        // that it is mounted at, and flags of mount(2); and a null pointer
#define EXEC_ORDER_HEADER_SIZE  56

// Flag: standard error is standard output, so that what goes to both keeps its order.
#define EXEC_MERGE_OUTPUT       1
// Flag: init traces the program and sends its /proc/PID/maps just before it ends; and then /proc/kallsyms. So addresses
// in the program, in its libraries and in the kernel have names.
#define EXEC_SEND_SYMBOLS       2
// Flag: init gives eth0 the address 10.0.2.15/24, and sends what is for elsewhere to 10.0.2.2.
#define EXEC_HAS_NETWORK        4

#endif
