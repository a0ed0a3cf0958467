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
    /// The request, or nil when the command line is not plain.
    ///
    /// - Parameter arguments: The words after the program's name.
    static func parse(_ arguments: [String]) -> RunRequest? {
        guard arguments.first == "run" else { return nil }
        var request = RunRequest()
        var words = arguments.dropFirst()
        while let word = words.popFirst() {
            if word == "--per-vcpu" {
                request.statistics.perVCPU = true
            } else if word == "--kernel-exits" {
                request.cpuid.kernelExits = true
            } else if word.hasPrefix("--") {
                guard let value = words.popFirst(), !value.hasPrefix("-"), set(word, value, in: &request) else {
                    return nil
                }
            } else {
                guard !word.hasPrefix("-"), request.guest.file == nil else { return nil }
                request.guest.file = word
            }
        }
        do {
            try request.validate()
        } catch {
            return nil
        }
        return request
    }

    /// - Returns: Whether the option is known here and the value is one for it.
    private static func set(_ option: String, _ value: String, in request: inout RunRequest) -> Bool {
        switch option {
        case "--guest": put(value, \.guest.name, in: &request)
        case "--argument": put(UInt32(value), \.guest.argument, in: &request)
        case "--memory": put(ByteCount(value), \.guest.memory, in: &request)
        case "--initrd": put(value, \.guest.initrd, in: &request)
        case "--append": put(value, \.guest.append, in: &request)
        case "--load-address": put(AddressArgument(argument: value), \.guest.loadAddress, in: &request)
        case "--entry": put(SegmentedAddress(value), \.guest.entry, in: &request)
        case "--cpus": put(Int(value), \.processors.cpus, in: &request)
        case "--leaves": put(CounterLeaves(rawValue: value), \.cpuid.leaves, in: &request)
        case "--cpuid-trap": put(CPUIDTrap(rawValue: value), \.cpuid.cpuidTrap, in: &request)
        case "--stats": put(StatisticsOptions.Form(rawValue: value), \.statistics.stats, in: &request)
        case "--stats-file": put(value, \.statistics.statsFile, in: &request)
        case "--kvm-device": put(value, \.host.kvmDevice, in: &request)
        case "--log-level": put(Logger.Level(rawValue: value), \.host.logLevel, in: &request)
        case "--timeout": put(Double(value), \.limits.timeout, in: &request)
        default: false
        }
    }

    private static func put<Value>(
        _ value: Value?, _ path: WritableKeyPath<RunRequest, Value>, in request: inout RunRequest
    ) -> Bool {
        guard let value else { return false }
        request[keyPath: path] = value
        return true
    }

    private static func put<Value>(
        _ value: Value?, _ path: WritableKeyPath<RunRequest, Value?>, in request: inout RunRequest
    ) -> Bool {
        guard let value else { return false }
        request[keyPath: path] = value
        return true
    }
}
