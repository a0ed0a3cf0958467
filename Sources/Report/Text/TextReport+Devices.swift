import Counters
import Host

/// The virtio devices.
extension TextReport {
    private static let deviceColumns = [
        "device", "exits", "notified", "interrupts", "requests", "out", "in", "exits/KiB",
    ]

    /// What each device was used for, and at how many exits. No line where the machine has none.
    var devicesBlock: [String] {
        guard !outcome.devices.isEmpty else { return [] }
        var table = TextTable([.left, .right, .left] + Array(repeating: .right, count: 5), style: style)
        table.add(Self.deviceColumns, as: .heading)
        for device in outcome.devices {
            table.add([
                device.name, HumanNumber.count(device.exits), device.isNotifiedByKernel ? "in KVM" : "by exits",
                HumanNumber.count(device.interrupts), HumanNumber.count(device.requests),
                HumanNumber.count(device.bytesFromGuest), HumanNumber.count(device.bytesToGuest),
                exitsPerKiB(device),
            ])
        }
        let faults = outcome.devices.filter(\.hasFailed).map {
            "The driver of \($0.name) has used it against the specification: it did nothing more until it was reset."
        }
        return [""] + table.lines + outcome.devices.compactMap(frames) + faults
    }

    private func frames(_ device: DeviceActivity) -> String? {
        device.frames.map {
            "\(device.name): \($0.fromGuest) frames out, \($0.toGuest) in, \($0.dropped) dropped."
        }
    }

    private func exitsPerKiB(_ device: DeviceActivity) -> String {
        let bytes = device.bytesFromGuest &+ device.bytesToGuest
        guard bytes > 0 else { return "-" }
        // In hundredths.
        let ratio = (Double(device.exits) * 1024 / Double(bytes) * 100).rounded() / 100
        return String(ratio)
    }
}
