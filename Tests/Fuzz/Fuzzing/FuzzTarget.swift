/// Something that takes bytes from outside, and has to have an answer to all of them.
struct FuzzTarget: Sendable {
    /// What `Scripts/fuzz` calls it.
    let name: String
    /// What it is, for the list of targets.
    let about: String
    /// Gets ready, once, and returns what is called with each input: it ends the process where something is wrong.
    let prepare: @Sendable () throws -> ([UInt8]) throws -> Void

    /// All of them. A new one is an entry here, and a folder of seeds in Tests/Fuzz/Corpus.
    static let all = [
        FuzzTarget(name: "images", about: "image files, by all loaders", prepare: FileTargets.images),
        FuzzTarget(name: "programs", about: "ELF programs and scripts of exec", prepare: FileTargets.programs),
        FuzzTarget(name: "cache", about: "the list of libraries, ld.so.cache", prepare: FileTargets.libraryCache),
        FuzzTarget(name: "records", about: "the JSON that compare reads", prepare: FileTargets.records),
        FuzzTarget(name: "devices", about: "ports and MMIO of all devices", prepare: DeviceTargets.devices),
        FuzzTarget(name: "virtio", about: "virtio devices and their queues", prepare: VirtioTargets.virtio),
        FuzzTarget(name: "channel", about: "the channel to the program of exec", prepare: DeviceTargets.channel),
        FuzzTarget(name: "walks", about: "page tables", prepare: ProcessorTargets.walks),
        FuzzTarget(name: "frames", about: "what the fault trap reads of a guest", prepare: ProcessorTargets.frames),
    ]
}

/// Ends the process where something is not as it has to be, so that the fuzzer keeps the input.
func check(_ isRight: Bool, _ what: @autoclosure () -> String) {
    if !isRight { fatalError(what()) }
}

/// An input, taken apart from its start. When it is over, there are zeros.
struct FuzzInput {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isEmpty: Bool { rest.isEmpty }

    mutating func number<Number: FixedWidthInteger & UnsignedInteger>(_ type: Number.Type) -> Number {
        var value: Number = 0
        for index in 0..<Number.bitWidth / 8 {
            guard let byte = rest.popFirst() else { break }
            value |= Number(truncatingIfNeeded: byte) << (8 * index)
        }
        return value
    }

    /// As many bytes, or those that are left.
    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}
