@testable import Boot
@testable import Counters
@testable import KVM
import MiniVMM
@testable import TestSupport

/// The README's example of the library, so that it compiles and does what it says.
func runLibraryExample() throws -> [String] {
    var lines: [String] = []
    func print(_ words: Any...) { lines.append(words.map { "\($0)" }.joined(separator: " ")) }

    // README: from here
    let kvm = try KVM()
    var guest = FlatGuest(image: [
        0xe6, 0x80,  // next: out 0x80, al
        0x66, 0x49,  // dec ecx
        0x75, 0xfa,  // jnz next
        0xf4,  // hlt
    ])
    guest.argument = 1000  // ECX at entry
    let machine = try Machine(kvm: kvm, guest: guest)
    let outcome = try machine.run(timeout: .seconds(10))
    print(outcome.ending.summary)
    for kind in outcome.statistics.total.kinds {
        print(kind.kind.name, kind.exits, "exits,", kind.serviceCycles, "cycles")
    }
    // README: to here
    return lines
}
