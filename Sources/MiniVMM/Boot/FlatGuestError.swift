/// Why a flat guest cannot be loaded as asked.
public enum FlatGuestError: Error, Hashable, Sendable {
    /// There is nothing in the image.
    case emptyImage
    /// The image does not fit where it is to be loaded.
    case doesNotFit(imageSize: Int, address: UInt64, room: UInt64)
    /// The address is the hole between 640 KiB and 1 MiB, lies over the interrupt vectors, or is past the memory.
    case badLoadAddress(UInt64)
    /// Without --entry the guest is entered where it is loaded, and no segment reaches that far.
    case entryNeeded(loadAddress: UInt64)
    /// The size is less than 1 MiB, more than 3 GiB, or not made of whole pages.
    case badMemorySize(UInt64)
}

extension FlatGuestError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .emptyImage:
            "The image is empty."
        case .doesNotFit(let size, let address, let room):
            "The image has \(size) bytes, and at \(Hex.number(address)) there is room for \(room)."
        case .badLoadAddress(let address):
            "A flat guest cannot be loaded at \(Hex.number(address))."
        case .entryNeeded(let address):
            "Real mode cannot be entered at \(Hex.number(address)), where the image is loaded."
        case .badMemorySize(let size):
            "A flat guest cannot have \(size) bytes of memory."
        }
    }

    public var remedy: String {
        switch self {
        case .emptyImage: "Give a file with the guest's code."
        case .doesNotFit: "Choose a lower --load-address, more --memory, or a smaller image."
        case .badLoadAddress:
            "Choose a --load-address from 0x500 to 0x9ffff, or from 0x100000 to the end of --memory."
        case .entryNeeded: "Give --entry SEGMENT:OFFSET, an address below 1 MiB and 64 KiB."
        case .badMemorySize: "Choose a --memory from 1M to 3G, in whole pages of 4 KiB."
        }
    }

    public var exitStatus: ExitStatus {
        switch self {
        case .emptyImage, .doesNotFit: .imageNotAcceptable
        case .badLoadAddress, .entryNeeded, .badMemorySize: .usage
        }
    }
}
