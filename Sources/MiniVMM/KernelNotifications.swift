import Counters
import Devices
import Host
import KVM
import Memory

/// How a guest's notifications reach virtio devices.
public enum NotificationPath: String, Hashable, Sendable, CaseIterable {
    /// Within KVM, where it can: they wake the device's thread, and are no exits to this process.
    case kernel
    /// By exits to this process, so that each is counted as one.
    case exit
}

/// KVM's ways for notifications and interrupts.
struct KernelNotifications: NotificationPaths {
    private let machine: VirtualMachine
    private let hasNotifications: Bool
    private let hasInterrupts: Bool

    /// The ways that a machine with interrupt controllers has.
    init(_ machine: VirtualMachine, _ kvm: KVM) {
        self.machine = machine
        hasNotifications = kvm.value(of: .ioEvents) > 0
        hasInterrupts = kvm.value(of: .interruptEvents) > 0
    }

    func ring(_ bell: Doorbell, atWritesTo address: GuestPhysicalAddress, of value: UInt32?) -> Bool {
        guard hasNotifications else { return false }
        // Where KVM refuses, as one without room for more does, the exit remains.
        return (try? machine.ring(bell, atWritesTo: address, of: value)) != nil
    }

    func pulse(_ line: UInt32, atRingsOf bell: Doorbell) -> Bool {
        guard hasInterrupts else { return false }
        return (try? machine.pulse(line, atRingsOf: bell)) != nil
    }
}

extension DeviceActivity {
    /// What a device has done so far.
    init(_ attachment: VirtioAttachment) {
        let (link, activity) = (attachment.link, attachment.link.activity)
        self.init(
            Kind(attachment.kind), name: link.name, exits: activity.registerAccesses,
            isNotifiedByKernel: attachment.isNotifiedByKernel, requests: activity.servedRequests,
            bytesFromGuest: activity.bytesFromGuest, bytesToGuest: activity.bytesToGuest,
            interrupts: activity.raisedInterrupts,
            hasFailed: activity.lastFault != nil, frames: attachment.counts.map(FrameCounts.init))
    }
}

extension DeviceActivity.Kind {
    init(_ kind: VirtioKind) {
        self =
            switch kind {
            case .network: .network
            case .block: .disk
            case .console: .console
            case .entropy: .entropy
            case .fileSystem: .share
            }
    }
}

extension DeviceActivity.FrameCounts {
    /// What a network device has moved so far.
    init(_ counts: NetworkCounts) {
        self.init(
            fromGuest: counts.framesFromGuest, toGuest: counts.framesToGuest, dropped: counts.framesDropped)
    }
}
