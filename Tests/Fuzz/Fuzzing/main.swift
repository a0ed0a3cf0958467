import CFuzzer
import Glibc

/// The target, for the function that libFuzzer calls.
enum Chosen {
    // Sound: set before the fuzzer starts, which has one thread.
    nonisolated(unsafe) static var target: (([UInt8]) throws -> Void)?
}

// Scripts/fuzz is what people start. Arguments: a target, then what libFuzzer takes; none for a list of targets.
guard let name = CommandLine.arguments.dropFirst().first else {
    for target in FuzzTarget.all { print(target.name, target.about, separator: "\t") }
    exit(0)
}
guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
    print("fuzz: there is no target '\(name)'")
    exit(64)
}
Chosen.target = try target.prepare()
var arguments = CommandLine.unsafeArgv.advanced(by: 1)
var count = CommandLine.argc - 1
withUnsafeMutablePointer(to: &arguments) { place in
    place.withMemoryRebound(to: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?.self, capacity: 1) { place in
        exit(
            LLVMFuzzerRunDriver(&count, place) { bytes, size in
                // What is refused is answered: only what ends the process is a fault.
                try? Chosen.target?(Array(UnsafeBufferPointer(start: bytes, count: size)))
                return 0
            })
    }
}
