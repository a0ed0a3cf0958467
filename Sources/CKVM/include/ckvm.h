// The KVM API for Swift: linux/kvm.h itself, one static inline function for each ioctl that MiniVMM uses, and the few
// instructions and system calls that Swift cannot spell.
//
// Every function that can fail returns its value, or -errno. Nothing here keeps state, allocates or takes a decision;
// except for the terminal, which signal handlers must be able to put right.
//
// Source of the ioctls: Linux, Documentation/virt/kvm/api.rst. The request numbers come from <linux/kvm.h>.

#ifndef CKVM_H
#define CKVM_H

#include <linux/kvm.h>

#include "ckvm_bpf.h"
#include "ckvm_confine.h"
#include "ckvm_exit.h"
#include "ckvm_ioctl.h"
#include "ckvm_net.h"
#include "ckvm_shared.h"
#include "ckvm_share.h"
#include "ckvm_stats.h"
#include "ckvm_system.h"
#include "ckvm_terminal.h"

#endif
