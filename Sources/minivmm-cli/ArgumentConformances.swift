public import ArgumentParser
public import Logging
public import MiniVMM

extension CounterLeaves: ExpressibleByArgument {}
extension CPUIDTrap: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}

extension ByteCount: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}

extension CPUList: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}

extension SegmentedAddress: ExpressibleByArgument {
    public init?(argument: String) {
        self.init(argument)
    }
}
