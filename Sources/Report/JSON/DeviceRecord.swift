import Counters

/// What a virtio device has done, in the JSON format.
struct DeviceRecord: Encodable {
    private let device: DeviceActivity

    init(_ device: DeviceActivity) {
        self.device = device
    }

    private enum CodingKeys: String, CodingKey {
        case name
        case exits
        case notifications
        case requests
        case bytesFromGuest = "bytes_from_guest"
        case bytesToGuest = "bytes_to_guest"
        case interrupts
        case failed
        case framesFromGuest = "frames_from_guest"
        case framesToGuest = "frames_to_guest"
        case framesDropped = "frames_dropped"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(device.name, forKey: .name)
        try container.encode(device.exits, forKey: .exits)
        try container.encode(device.isNotifiedByKernel ? "kernel" : "exit", forKey: .notifications)
        try container.encode(device.requests, forKey: .requests)
        try container.encode(device.bytesFromGuest, forKey: .bytesFromGuest)
        try container.encode(device.bytesToGuest, forKey: .bytesToGuest)
        try container.encode(device.interrupts, forKey: .interrupts)
        try container.encode(device.hasFailed, forKey: .failed)
        try container.encodeIfPresent(device.frames?.fromGuest, forKey: .framesFromGuest)
        try container.encodeIfPresent(device.frames?.toGuest, forKey: .framesToGuest)
        try container.encodeIfPresent(device.frames?.dropped, forKey: .framesDropped)
    }
}
