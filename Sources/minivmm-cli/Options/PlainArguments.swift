import ArgumentParser
import Counters
import Host
import Logging
import Memory
import MiniVMM

/// The plain command lines of `minivmm run`, read without ArgumentParser.
///
/// ArgumentParser finds out about a command's options at run time, which takes longer than all that a small guest's run
/// does besides. So what scripts write most is read here: `run`, then options by their full names, each with its value
/// as the next word, and a file. Anything else, mistakes included, is left to ArgumentParser, which knows all and
/// explains all. So the two could disagree only by a mistake here, for which there is a test.
enum PlainArguments {
    /// What is asked for, or nil when the command line is not plain.
    ///
    /// - Parameter arguments: The words after the program's name.
    static func parse(_ arguments: [String]) -> RunConfiguration? {
        guard arguments.first == "run" else { return nil }
        var configuration = RunConfiguration()
        var words = arguments.dropFirst()
        while let word = words.popFirst() {
            if word == "--per-vcpu" {
                configuration.session.statistics.perVCPU = true
            } else if word == "--no-sandbox" {
                configuration.session.host.isConfined = false
            } else if word.hasPrefix("--") {
                guard let value = words.popFirst(), !value.hasPrefix("-"), configuration.set(word, value) else {
                    return nil
                }
            } else {
                guard !word.hasPrefix("-"), configuration.guest.file == nil else { return nil }
                configuration.guest.file = word
            }
        }
        do {
            try configuration.validate()
        } catch {
            return nil
        }
        return configuration
    }
}

extension RunConfiguration {
    /// - Returns: Whether the option is known here and the value is one for it.
    fileprivate mutating func set(_ option: String, _ value: String) -> Bool {
        switch option {
        case "--guest": Self.put(value, &guest.name)
        case "--argument": Self.put(UInt32(value), &guest.argument)
        case "--memory": Self.put(ByteCount(value), &guest.memory)
        case "--initrd": Self.put(value, &guest.initrd)
        case "--append": Self.put(value, &guest.append)
        case "--load-address": Self.put(AddressArgument(argument: value)?.value, &guest.loadAddress)
        case "--entry": Self.put(SegmentedAddress(value), &guest.entry)
        case "--cpus": Self.put(Int(value), &session.processors.count)
        case "--leaves": Self.put(CounterLeaves(rawValue: value), &session.cpuid.leaves)
        case "--exit-types": Self.put(ExitNumbering(rawValue: value), &session.cpuid.exitTypes)
        case "--exits": Self.put(ExitScope(rawValue: value), &session.cpuid.exits)
        case "--cpuid-trap": Self.put(CPUIDTrap(rawValue: value), &session.cpuid.trap)
        case "--stats": Self.put(StatisticsConfiguration.Form(rawValue: value), &session.statistics.form)
        case "--top": Self.put(Int(value), &session.statistics.top)
        case "--stats-file": Self.put(value, &session.statistics.file)
        case "--kvm-device": Self.put(value, &session.host.kvmDevice)
        case "--log-level": Self.put(Logger.Level(rawValue: value), &session.host.logLevel)
        case "--timeout": Self.put(Double(value), &session.limits.timeout)
        default: false
        }
    }

    private static func put<Value>(_ value: Value?, _ place: inout Value) -> Bool {
        guard let value else { return false }
        place = value
        return true
    }

    private static func put<Value>(_ value: Value?, _ place: inout Value?) -> Bool {
        guard let value else { return false }
        place = value
        return true
    }
}
