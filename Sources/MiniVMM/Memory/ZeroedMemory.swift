import CKVM

/// Memory of zeros, to be released with free(3).
///
/// calloc(3) takes large blocks from the system as they are touched, so that a table of which little is used costs
/// little, in time as well as in memory.
///
/// - Parameters:
///   - type: What the memory holds: a type for which all zeros is a valid value.
///   - count: How many of them.
func zeroedMemory<Value: BitwiseCopyable>(of type: Value.Type, count: Int) -> UnsafeMutablePointer<Value> {
    let memory = calloc(count, MemoryLayout<Value>.stride)
    guard let memory else { preconditionFailure("calloc returned no memory for \(count) times \(type)") }
    // Sound: the memory has room for `count` values, is aligned for any type, and is zero, which the caller vouches for.
    return memory.bindMemory(to: type, capacity: count)
}
