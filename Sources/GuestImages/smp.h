// How a guest puts its other CPUs to work. Included after guest.h.
//
// At the start of the run only one CPU executes, the boot processor. The others
// wait for two interrupts from its local APIC: INIT, which resets them, and then
// start-up, whose vector is the number of the 4 KiB page, below 1 MiB, at which
// they begin, in real mode: CS:IP = vector * 100h : 0000. Both go to "all but
// myself", so nobody needs to know how many there are.
//
// The local APIC is used in x2APIC mode, in which its registers are MSRs: in the
// older mode they are memory just below 4 GiB, out of reach of real mode.
//
// Source: Intel SDM, volume 3, "Multiple-processor initialization" and "Advanced
// programmable interrupt controller".

// IA32_APIC_BASE, and its bits that switch the local APIC on, in x2APIC mode.
#define MSR_APIC_BASE       0x1B
#define APIC_ENABLE         (1 << 11)
#define APIC_X2APIC         (1 << 10)

// The interrupt command register: writing it sends an interrupt.
#define MSR_X2APIC_ICR      0x830
#define ICR_INIT            (5 << 8)    // delivery mode
#define ICR_START_UP        (6 << 8)
#define ICR_ASSERT          (1 << 14)
#define ICR_ALL_BUT_MYSELF  (3 << 18)

// CPUID leaf 1: the boot processor learns from it how many CPUs there are, and
// every CPU the id of its local APIC.
#define LEAF_FEATURES       1
#define FEATURES_SEVERAL    (1 << 28)   // in EDX: there are several CPUs
#define FEATURES_CPUS       16          // in EBX, bits 23:16: how many
#define FEATURES_APIC_ID    24          // in EBX, bits 31:24

// The page where the others begin.
#define TRAMPOLINE          0xA000
#define JUMP_FAR            0xEA        // opcode; the offset follows, then the segment

// cpu_count: EBX and EDX of CPUID leaf 1 -> EBX = the number of CPUs.
.macro cpu_count
        test    edx, FEATURES_SEVERAL
        jnz     cpu_count_several_\@
        mov     ebx, 1 << FEATURES_CPUS
cpu_count_several_\@:
        shr     ebx, FEATURES_CPUS
        and     ebx, 0xFF
.endm

// start_others ENTRY: all other CPUs go to ENTRY, which `place` has named. There
// they find interrupts off, DS = ES = SS = 0, and no stack. Changes EAX, ECX, EDX.
.macro start_others entry
        // All begin at the same place, and go on at ENTRY in segment 0.
        mov     byte ptr [TRAMPOLINE], JUMP_FAR
        mov     word ptr [TRAMPOLINE + 1], offset \entry
        mov     word ptr [TRAMPOLINE + 3], 0

        // This WRMSR waits until the stores above are visible to all; one to an
        // x2APIC register would not.
        mov     ecx, MSR_APIC_BASE
        rdmsr
        or      eax, APIC_ENABLE | APIC_X2APIC
        wrmsr

        mov     ecx, MSR_X2APIC_ICR
        xor     edx, edx
        mov     eax, ICR_ALL_BUT_MYSELF | ICR_ASSERT | ICR_INIT
        wrmsr
        mov     eax, ICR_ALL_BUT_MYSELF | ICR_ASSERT | ICR_START_UP | (TRAMPOLINE >> 12)
        wrmsr
.endm

// stop: this CPU has nothing more to do. HLT with interrupts off never ends, except
// by an interrupt that cannot be turned off.
.macro stop
stop_\@:
        cli
        hlt
        jmp     stop_\@
.endm
