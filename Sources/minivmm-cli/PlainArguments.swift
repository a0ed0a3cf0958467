import ArgumentParser
import Logging
import MiniVMM

/// The plain command lines of `minivmm run`, read without ArgumentParser.
///
/// ArgumentParser finds out about a command's options at run time, which takes longer than all that a small guest's run
/// does besides. So what scripts write most is read here: `run`, then options by their full names, each with its value
/// as the next word, and a file. Anything else, mistakes included, is left to ArgumentParser, which knows all and
/// explains all. So the two could disagree only by a mistake here, for which there is a test.
enum PlainArguments {
    /// The command, or nil when the command line is not plain.
    ///
    /// - Parameter arguments: The words after the program's name.
    static func parse(_ arguments: [String]) -> RunCommand? {
        guard arguments.first == "run" else { return nil }
        var command = RunCommand.defaults
        var words = arguments.dropFirst()
        while let word = words.popFirst() {
            if word == "--per-vcpu" {
                command.statistics.perVCPU = true
            } else if word == "--kernel-exits" {
                command.cpuid.kernelExits = true
            } else if word.hasPrefix("--") {
                guard let value = words.popFirst(), !value.hasPrefix("-"), set(word, value, in: &command) else {
                    return nil
                }
            } else {
                guard !word.hasPrefix("-"), command.guest.file == nil else { return nil }
                command.guest.file = word
            }
        }
        do {
            try command.validate()
        } catch {
            return nil
        }
        return command
    }

    /// - Returns: Whether the option is known here and the value is one for it.
    private static func set(_ option: String, _ value: String, in command: inout RunCommand) -> Bool {
        switch option {
        case "--guest": put(value, \.guest.name, in: &command)
        case "--argument": put(UInt32(value), \.guest.argument, in: &command)
        case "--memory": put(ByteCount(value), \.guest.memory, in: &command)
        case "--initrd": put(value, \.guest.initrd, in: &command)
        case "--append": put(value, \.guest.append, in: &command)
        case "--load-address": put(AddressArgument(argument: value), \.guest.loadAddress, in: &command)
        case "--entry": put(SegmentedAddress(value), \.guest.entry, in: &command)
        case "--cpus": put(Int(value), \.processors.cpus, in: &command)
        case "--leaves": put(CounterLeaves(rawValue: value), \.cpuid.leaves, in: &command)
        case "--cpuid-trap": put(CPUIDTrap(rawValue: value), \.cpuid.cpuidTrap, in: &command)
        case "--stats": put(StatisticsOptions.Form(rawValue: value), \.statistics.stats, in: &command)
        case "--stats-file": put(value, \.statistics.statsFile, in: &command)
        case "--kvm-device": put(value, \.host.kvmDevice, in: &command)
        case "--log-level": put(Logger.Level(rawValue: value), \.host.logLevel, in: &command)
        case "--timeout": put(Double(value), \.limits.timeout, in: &command)
        default: false
        }
    }

    private static func put<Value>(
        _ value: Value?, _ path: WritableKeyPath<RunCommand, Value>, in command: inout RunCommand
    ) -> Bool {
        guard let value else { return false }
        command[keyPath: path] = value
        return true
    }

    private static func put<Value>(
        _ value: Value?, _ path: WritableKeyPath<RunCommand, Value?>, in command: inout RunCommand
    ) -> Bool {
        guard let value else { return false }
        command[keyPath: path] = value
        return true
    }
}
