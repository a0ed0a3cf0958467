// init: the first process of a Linux guest that runs one program, `minivmm exec`.
//
// It makes the root file system what programs expect, starts the program with pipes for its standard input, output and
// error, moves bytes between the pipes and MiniVMM while the program runs, and tells MiniVMM at last what became of it.
// It is a Linux program like any other, without a library.
//
// exec_channel.h describes what lies between it and MiniVMM; each of the files below is one part of the work.

#include "exec_channel.h"
#include "linux.h"
#include "init.h"

        init_begin

        place   init_entry
        call    make_root
        call    open_channel
        call    load_modules
        call    set_up_network
        call    mount_shares
        call    start_program
        jmp     pump

#include "root.h"
#include "channel.h"
#include "modules.h"
#include "network.h"
#include "shares.h"
#include "program.h"
#include "pump.h"

        init_end
