// swift-tools-version: 6.2

import PackageDescription

let package = Package(
    name: "bare-kvm",
    dependencies: [.package(name: "MiniVMM", path: "../..")],
    targets: [
        .executableTarget(name: "bare-kvm", dependencies: [.product(name: "KVM", package: "MiniVMM")])
    ],
    swiftLanguageModes: [.v6]
)
