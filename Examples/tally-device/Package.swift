// swift-tools-version: 6.2

import PackageDescription

let package = Package(
    name: "tally-device",
    dependencies: [.package(name: "MiniVMM", path: "../..")],
    targets: [
        .executableTarget(name: "tally-device", dependencies: [.product(name: "MiniVMM", package: "MiniVMM")])
    ],
    swiftLanguageModes: [.v6]
)
