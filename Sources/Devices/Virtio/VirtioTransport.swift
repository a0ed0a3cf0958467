import Host
package import Memory

/// A device that a guest talks to by virtqueues.
///
/// What it is told of, it is told on the vCPU's thread that causes it, with no lock held.
package protocol VirtioDevice: AnyObject, Sendable {
    /// What kind of device it is.
    static var kind: VirtioKind { get }
    /// What belongs to this kind of device that it offers: bits 0 to 23.
    var features: UInt64 { get }
    /// The driver has set everything up, and there may be requests already.
    func start()
    /// There may be requests in a queue.
    func notify(_ queue: Int)
    /// The driver is gone, and its queues are.
    func reset()
}

/// The registers of a virtio device, by MMIO.
///
/// Modern drivers alone: a legacy one finds a version that it does not know, and leaves the device alone. A driver that
/// does something wrong finds DEVICE_NEEDS_RESET in the status, and the device does nothing more until it is reset.
///
/// Not offered: shared memory regions, the reset of single queues, notification data.
///
/// Source: virtio 1.2, sections 2.1 "Device Status Field", 3.1 "Device Initialization", 4.2 "Virtio Over MMIO".
package final class VirtioTransport<Device: VirtioDevice>: MMIODevice {
    /// What the driver has written and not handed over yet.
    private struct State {
        var deviceFeaturesSelector: UInt32 = 0
        var driverFeaturesSelector: UInt32 = 0
        var driverFeatures: UInt64 = 0
        var queueSelector: UInt32 = 0
        var layouts: [QueueLayout]
    }

    private let device: Device
    private let link: VirtioLink
    private let state: Locked<State>

    /// Registers for a device.
    package init(_ device: Device, _ link: VirtioLink) {
        self.device = device
        self.link = link
        state = Locked(State(layouts: Array(repeating: QueueLayout(), count: link.queueCount)))
    }

    /// What the device offers.
    private var offered: UInt64 { VirtioFeatures.ofTransport.rawValue | device.features }

    package func readMMIO(_ offset: UInt64, width: AccessWidth) -> UInt64 {
        link.activity.noteAccess()
        if offset >= VirtioRegister.configuration {
            return link.readConfiguration(offset &- VirtioRegister.configuration, width)
        }
        return width == .long ? UInt64(read(offset)) : 0
    }

    private func read(_ register: UInt64) -> UInt32 {
        switch register {
        // The most frequent first: in every interrupt.
        case VirtioRegister.interruptStatus: link.pendingCauses
        case VirtioRegister.magic: VirtioRegister.magicValue
        case VirtioRegister.version: VirtioRegister.versionValue
        case VirtioRegister.deviceID: Device.kind.rawValue
        case VirtioRegister.vendorID: VirtioRegister.vendorValue
        case VirtioRegister.status: link.status.rawValue
        case VirtioRegister.configurationGeneration: link.configurationGeneration
        case VirtioRegister.sharedMemoryLengthLow, VirtioRegister.sharedMemoryLengthHigh,
            VirtioRegister.sharedMemoryBaseLow, VirtioRegister.sharedMemoryBaseHigh:
            // There is no such region. Source: section 4.2.2, SHMLenLow.
            .max
        case VirtioRegister.deviceFeatures: half(offered, state.withLock { $0.deviceFeaturesSelector })
        case VirtioRegister.queueMaximumSize: UInt32(link.maximumSize(ofQueue: selectedQueue))
        case VirtioRegister.queueReady: link.isQueueReady(selectedQueue) ? 1 : 0
        default: 0
        }
    }

    private var selectedQueue: Int { Int(state.withLock { $0.queueSelector }) }

    /// The half of a number of 64 bits that a selector of features asks for.
    private func half(_ value: UInt64, _ selector: UInt32) -> UInt32 {
        selector < 2 ? UInt32(truncatingIfNeeded: value >> UInt64(32 * selector)) : 0
    }

    package func writeMMIO(_ offset: UInt64, width: AccessWidth, value: UInt64) {
        link.activity.noteAccess()
        // What there is of a device's kind, no driver writes to.
        guard width == .long, offset < VirtioRegister.configuration else { return }
        let value = UInt32(truncatingIfNeeded: value)
        switch offset {
        case VirtioRegister.queueNotify: if value < UInt32(link.queueCount) { device.notify(Int(value)) }
        case VirtioRegister.interruptAcknowledge: link.acknowledge(value)
        case VirtioRegister.status: writeStatus(VirtioStatus(rawValue: value))
        case VirtioRegister.queueReady: writeReady(value)
        default: state.withLock { write(offset, value, &$0) }
        }
    }

    private func write(_ register: UInt64, _ value: UInt32, _ state: inout State) {
        switch register {
        case VirtioRegister.deviceFeaturesSelector: state.deviceFeaturesSelector = value
        case VirtioRegister.driverFeaturesSelector: state.driverFeaturesSelector = value
        case VirtioRegister.queueSelector: state.queueSelector = value
        case VirtioRegister.driverFeatures:
            // What was agreed upon does not change.
            guard state.driverFeaturesSelector < 2, !link.status.contains(.featuresAccepted) else { return }
            replace(state.driverFeaturesSelector == 1, of: &state.driverFeatures, by: value)
        default: writeLayout(register, value, &state)
        }
    }

    /// Where a queue is. One that is in use does not move.
    private func writeLayout(_ register: UInt64, _ value: UInt32, _ state: inout State) {
        let index = Int(state.queueSelector)
        guard state.layouts.indices.contains(index), !link.isQueueReady(index) else { return }
        switch register {
        case VirtioRegister.queueSize: state.layouts[index].size = value
        case VirtioRegister.queueDescriptorsLow: replace(false, of: &state.layouts[index].descriptors, by: value)
        case VirtioRegister.queueDescriptorsHigh: replace(true, of: &state.layouts[index].descriptors, by: value)
        case VirtioRegister.queueDriverLow: replace(false, of: &state.layouts[index].driver, by: value)
        case VirtioRegister.queueDriverHigh: replace(true, of: &state.layouts[index].driver, by: value)
        case VirtioRegister.queueDeviceLow: replace(false, of: &state.layouts[index].device, by: value)
        case VirtioRegister.queueDeviceHigh: replace(true, of: &state.layouts[index].device, by: value)
        default: break
        }
    }

    private func replace(_ high: Bool, of number: inout UInt64, by value: UInt32) {
        number =
            high
            ? number & UInt64(UInt32.max) | UInt64(value) << 32
            : number & ~UInt64(UInt32.max) | UInt64(value)
    }

    /// Makes a queue ready, or takes it away.
    private func writeReady(_ value: UInt32) {
        state.withLock { state in
            let index = Int(state.queueSelector)
            guard state.layouts.indices.contains(index) else { return }
            if value & 1 == 0 {
                link.setQueue(index, nil)
            } else if !link.status.contains(.featuresAccepted) {
                link.fail(.initialization)
            } else if !link.isQueueReady(index) {
                link.setQueue(index, state.layouts[index])
            }
        }
    }

    private func writeStatus(_ written: VirtioStatus) {
        if written.isEmpty {
            state.withLock { state in
                link.reset()
                state = State(layouts: Array(repeating: QueueLayout(), count: link.queueCount))
            }
            device.reset()
        } else if state.withLock({ step($0.driverFeatures, written) }) {
            device.start()
        }
    }

    /// Takes a step of the initialization. Bits that are set stay set until the device is reset.
    ///
    /// - Returns: Whether it was the last.
    private func step(_ driverFeatures: UInt64, _ written: VirtioStatus) -> Bool {
        var added = written.intersection(.ofDriver).subtracting(link.status)
        if added.contains(.featuresAccepted) {
            let isPossible =
                driverFeatures & ~offered == 0
                && VirtioFeatures(rawValue: driverFeatures).contains(.version1)
            if isPossible {
                link.agree(on: VirtioFeatures(rawValue: driverFeatures))
            } else {
                // The driver looks whether the bit is there. Source: section 2.2.2.
                added.remove(.featuresAccepted)
            }
        }
        if added.contains(.driverReady), !link.status.union(added).contains(.featuresAccepted) {
            added.remove(.driverReady)
            link.fail(.initialization)
        }
        link.add(added)
        return added.contains(.driverReady)
    }
}
