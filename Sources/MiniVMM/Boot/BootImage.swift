/// A file that MiniVMM boots, told apart by its content.
public enum BootImage: Sendable {
    /// A bzImage.
    case linux(LinuxImage)
    /// An ELF kernel with a PVH note.
    case elfKernel(ELFKernel)
    /// A flat 16-bit image, for ``FlatGuest``.
    case flat(ImageFile)

    /// Finds out what a file is, and checks its headers.
    ///
    /// - Throws: ``ImageError`` when it is nothing that MiniVMM boots, or damaged.
    public init(_ file: ImageFile) throws(ImageError) {
        let format = ImageFormat(detecting: file.bytes)
        switch format {
        case .bzImage: self = .linux(try LinuxImage(file))
        case .pvhKernel, .elf: self = .elfKernel(try ELFKernel(file))
        case .flat: self = .flat(file)
        case .compressed, .other: throw .unsupported(path: file.path, format)
        }
    }
}
