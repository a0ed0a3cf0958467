/// Port I/O and MMIO: the frequent exits.
extension VCPURunner {
    @inline(__always)
    func writePort(_ access: PortAccess) {
        var isClaimed = true
        for index in 0..<access.count {
            isClaimed = machine.ports.write(access.port, access.width, access.item(index))
        }
        if !isClaimed { unclaimed.recordPort(access.port, isWrite: true) }
    }

    @inline(__always)
    func readPort(_ access: PortAccess) {
        var isClaimed = true
        for index in 0..<access.count {
            let value = machine.ports.read(access.port, access.width)
            isClaimed = value != nil
            access.setItem(index, value ?? .max)
        }
        if !isClaimed { unclaimed.recordPort(access.port, isWrite: false) }
    }

    @inline(__always)
    func writeMMIO(_ access: MMIOAccess) {
        guard let width = access.width, machine.mmio.write(access.address, width, access.value) else {
            unclaimed.recordMMIO(access.address, isWrite: true)
            return
        }
    }

    @inline(__always)
    func readMMIO(_ access: MMIOAccess) {
        guard let width = access.width, let value = machine.mmio.read(access.address, width) else {
            unclaimed.recordMMIO(access.address, isWrite: false)
            access.setValue(.max)
            return
        }
        access.setValue(value)
    }
}
