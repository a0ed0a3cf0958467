public import Host
import KVM

/// Why there are no VMX capability MSRs to show.
public enum VMXObstacle: Error, Hashable, Sendable {
    /// The processor is of a maker whose processors have none.
    case notIntel(vendor: String)
    /// It is of one whose processors can have VMX, and shows none.
    case noVMX(vendor: String)
    /// KVM offers none to its guests.
    case notOffered
}

extension VMXObstacle: DiagnosticError {
    public var explanation: String {
        switch self {
        case .notIntel(let vendor):
            "This is not an Intel processor (\(vendor)): it has neither VMX nor VMX capability MSRs."
        case .noVMX(let vendor): "This processor (\(vendor)) shows no VMX (bit 5 of ECX in CPUID leaf 1 is 0)."
        case .notOffered: "This KVM offers no VMX to guests."
        }
    }
}

/// Where VMX capability MSRs are read from, and what came of it.
package enum VMXSource: Sendable {
    /// Their values.
    case values(VMXCapabilities)
    /// Why there are none.
    case unreadable(any DiagnosticError)

    var capabilities: VMXCapabilities? {
        if case .values(let capabilities) = self { capabilities } else { nil }
    }

    var obstacle: (any DiagnosticError)? {
        if case .unreadable(let error) = self { error } else { nil }
    }
}

/// The VMX capability MSRs of this host: what `minivmm doctor --vmx` shows.
public struct VMXDiagnosis: Sendable {
    /// The processor's maker, such as `GenuineIntel`.
    package let vendor: String
    /// The processor's own name for itself, where it has one.
    package let processorName: String?
    /// The processor's own registers, or why they cannot be read.
    package let processor: VMXSource
    /// Those that KVM offers to a guest that is a hypervisor itself, or why there are none.
    package let kvm: VMXSource
    /// What the processor has in place of VMX.
    package let svm: SVMFeatures?

    /// Whether there is anything to show.
    public var isReadable: Bool { !sources.isEmpty }

    /// The sources that could be read, with their names.
    package var sources: [(name: String, capabilities: VMXCapabilities)] {
        [("processor", processor), ("KVM", kvm)].compactMap { name, source in
            source.capabilities.map { (name, $0) }
        }
    }

    /// What is in the way.
    package var obstacles: [any DiagnosticError] {
        // A KVM without VMX is no news on a processor without.
        let follows = processor.obstacle is VMXObstacle && kvm.obstacle as? VMXObstacle == .notOffered
        return (follows ? [processor] : [processor, kvm]).compactMap(\.obstacle)
    }
}

extension VMXDiagnosis {
    /// Finds out.
    ///
    /// - Parameter devicePath: The KVM device.
    public init(devicePath: String) {
        let vendor = HostFacts.processorVendor
        self.init(
            vendor: vendor, processorName: HostFacts.processorName,
            processor: Self.readProcessor(vendor), kvm: Self.readKVM(devicePath),
            svm: HostFacts.svmLeaf.map { SVMFeatures(eax: $0.eax, ebx: $0.ebx, edx: $0.edx) })
    }

    /// Makers whose processors have SVM.
    private static let svmVendors = ["AuthenticAMD", "HygonGenuine"]

    private static func readProcessor(_ vendor: String) -> VMXSource {
        guard !svmVendors.contains(vendor) else { return .unreadable(VMXObstacle.notIntel(vendor: vendor)) }
        guard HostFacts.hasVMX else { return .unreadable(VMXObstacle.noVMX(vendor: vendor)) }
        do {
            let registers = try ProcessorMSRs()
            let capabilities = VMXCapabilities { registers.read($0) }
            return capabilities.values.isEmpty ? .unreadable(VMXObstacle.noVMX(vendor: vendor)) : .values(capabilities)
        } catch {
            return .unreadable(error)
        }
    }

    private static func readKVM(_ path: String) -> VMXSource {
        do throws(KVMError) {
            let kvm = try KVM(path: path)
            let offered = Set(try kvm.featureMSRs())
            let capabilities = try VMXCapabilities { index throws(KVMError) in
                offered.contains(index) ? try kvm.featureMSR(index) : nil
            }
            return capabilities.values.isEmpty ? .unreadable(VMXObstacle.notOffered) : .values(capabilities)
        } catch {
            return .unreadable(error)
        }
    }
}
