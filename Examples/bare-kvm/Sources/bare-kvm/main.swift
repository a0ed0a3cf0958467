import KVM

/// An exit that this guest does not cause.
struct UnexpectedExit: Error {}

let code: [UInt8] = [
    0xba, 0xf8, 0x03,  // mov dx, 0x3f8
    0xb0, 0x21,  // mov al, '!'
    0xee,  // out dx, al
    0xf4,  // hlt
]
let start = GuestPhysicalAddress(0x1000)

let kvm = try KVM()
let memory = try GuestMemory(layout: [(start: GuestPhysicalAddress(0), size: 0x10000)])
try memory.write(code, at: start)
let machine = try VirtualMachine(kvm: kvm, memory: memory)
try machine.setRealModePages()
let vcpu = try machine.makeVCPU(id: 0)
try vcpu.setCPUID(kvm.supportedCPUID())

// A new vCPU is in real mode, with CS at the reset vector.
var special = try vcpu.specialRegisters()
special.cs.base = 0
special.cs.selector = 0
try vcpu.setSpecialRegisters(special)
var registers = GeneralRegisters()
registers.rip = start.rawValue
try vcpu.setRegisters(registers)

var isHalted = false
while !isHalted {
    let result = try vcpu.run { exit in
        switch exit {
        case .portOut(let access) where access.port == 0x3f8:
            for index in 0..<access.count {
                let byte = UInt8(truncatingIfNeeded: access.item(index))
                print(Character(UnicodeScalar(byte)), terminator: "")
            }
            return false
        case .hlt: return true
        default: throw UnexpectedExit()
        }
    }
    isHalted = result ?? false  // nil: a signal interrupted KVM_RUN.
}
print()
