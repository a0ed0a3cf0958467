import CKVM

extension CPUList {
    /// The CPUs that the calling thread, and so those that it starts, may use, in ascending order.
    ///
    /// - Throws: ``CPUPinningError/refused(cpu:_:)`` when the system does not tell.
    static func usable() throws(CPUPinningError) -> CPUList {
        var words = [UInt64](repeating: 0, count: numberLimit / UInt64.bitWidth)
        let result = ckvm_usable_cpus(&words, words.count * MemoryLayout<UInt64>.size)
        let numbers = (0..<numberLimit).filter { words[$0 / UInt64.bitWidth] >> UInt64($0 % UInt64.bitWidth) & 1 == 1 }
        guard result >= 0, let list = CPUList(numbers: numbers) else {
            throw .refused(cpu: nil, ErrorNumber(rawValue: 0 &- result))
        }
        return list
    }

    /// - Throws: ``CPUPinningError`` when this process may not use one of the CPUs.
    func checkUsable() throws(CPUPinningError) {
        let usable = try Self.usable()
        for number in numbers where !usable.numbers.contains(number) { throw .notUsable(cpu: number, usable: usable) }
    }

    /// Keeps the calling thread on the CPU for a vCPU.
    ///
    /// - Throws: ``CPUPinningError/refused(cpu:_:)`` when the system refuses.
    func pinThread(ofVCPU index: Int) throws(CPUPinningError) {
        let cpu = cpu(forVCPU: index)
        let result = ckvm_pin_thread(Int32(cpu))
        guard result >= 0 else { throw .refused(cpu: cpu, ErrorNumber(rawValue: 0 &- result)) }
    }
}
