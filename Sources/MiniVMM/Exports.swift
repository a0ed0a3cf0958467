// What a machine is made of and what comes of it stands in layers below. A program that imports MiniVMM gets all of it:
// the layers are for those who work on MiniVMM. Only `@_exported` says so; there is no other way to hand a module on.
@_exported public import Boot
@_exported public import Counters
@_exported public import Devices
@_exported public import Host
@_exported public import KVM
@_exported public import Memory
