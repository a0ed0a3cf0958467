import ArgumentParser
import MiniVMM

@main
struct MiniVMMCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "minivmm")
    @Option var guest: String
    @Option var trap = "auto"
    @Option var argument: UInt32 = 0
    func run() throws {
        let k = try KVM()
        var g = FlatGuest(image: BuiltInGuest(named: guest)!.image)
        g.argument = argument
        var o = MachineOptions()
        o.trap = CPUIDTrap(rawValue: trap)!
        let out = try Machine(kvm: k, guest: g, options: o).run(timeout: .seconds(20))
        print(out.ending.summary, out.statistics.total, out.duration)
    }
}
