// swift-tools-version: 6.2

import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// The same for what is not a test: every unsafe use is marked.
let safeSettings = swiftSettings + [.strictMemorySafety()]

/// For tests: what they test is optimized in a release build, they themselves never are, which would take minutes and
/// make them no faster.
let testSettings = swiftSettings + [.unsafeFlags(["-Onone"], .when(configuration: .release))]

/// A layer of the library: a target that may use the layers named, and no others.
func layer(_ name: String, on layers: Target.Dependency...) -> Target {
    .target(name: name, dependencies: layers, swiftSettings: safeSettings)
}

/// The tests of a layer. They may use what stands above it, to boot guests with it.
func tests(of name: String, on others: Target.Dependency...) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: layers + ["TestSupport"] + others, swiftSettings: testSettings)
}

/// All layers, for tests.
let layers: [Target.Dependency] = [
    "CKVM", "GuestImages", "Host", "Memory", "KVM", "Tracepoints", "Counters", "Devices", "Boot", "Symbols", "MiniVMM",
    "Report", "Exec", "Bench", "Doctor", "Watch", "Debugger", "minivmm-cli",
]

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
/// What the histograms of service times are compared with.
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

/// What `Scripts/fuzz` runs, and needs a compiler's sanitizers to be built: there with MINIVMM_FUZZ=1 only, so that no
/// other build makes it.
let fuzzing: [Target] =
    Context.environment["MINIVMM_FUZZ"] == "1"
    ? [
        .target(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
        .executableTarget(
            name: "Fuzzing",
            dependencies: [
                "CFuzzer", "Host", "Memory", "KVM", "Devices", "Boot", "MiniVMM", "Report", "Exec",
            ],
            path: "Tests/Fuzz/Fuzzing", swiftSettings: swiftSettings),
    ] : []

let package = Package(
    name: "MiniVMM",
    products: [
        .library(name: "MiniVMM", targets: ["MiniVMM"]),
        .library(name: "KVM", targets: ["KVM"]),
        .library(name: "Report", targets: ["Report"]),
        .executable(name: "minivmm", targets: ["minivmm-cli"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        .target(name: "CKVM"),
        .target(name: "GuestImages"),
        layer("Host", on: "CKVM"),
        layer("Memory", on: "CKVM", "Host"),
        layer("KVM", on: "CKVM", "Host", "Memory"),
        layer("Tracepoints", on: "CKVM", "Host"),
        layer("Counters", on: "CKVM", "Host", "Memory", "KVM", "Tracepoints"),
        layer("Devices", on: "CKVM", "Host", "Memory"),
        layer("Boot", on: "CKVM", "GuestImages", "Host", "Memory", "Devices"),
        layer("Symbols", on: "CKVM", "Host", "Boot"),
        layer(
            "MiniVMM", on: "CKVM", "GuestImages", "Host", "Memory", "KVM", "Tracepoints", "Counters", "Devices", "Boot",
            logging),
        layer("Report", on: "Host", "Memory", "KVM", "Counters"),
        layer("Exec", on: "CKVM", "GuestImages", "Host", "Memory", "Devices", "Counters", "Boot", "MiniVMM"),
        layer(
            "Bench", on: "CKVM", "Host", "Memory", "KVM", "Tracepoints", "Counters", "Devices", "Boot", "MiniVMM",
            "Report"),
        layer("Doctor", on: "Host", "Memory", "KVM", "Tracepoints", "Counters", "MiniVMM", "Report"),
        layer("Debugger", on: "CKVM", "Host", "Memory", "KVM", "Counters", "MiniVMM"),
        layer("Watch", on: "CKVM", "Host", "Tracepoints", "Counters", "Report"),
        .executableTarget(
            name: "minivmm-cli",
            dependencies: [
                "CKVM", "Host", "Memory", "KVM", "Tracepoints", "Counters", "Devices", "Boot", "Symbols", "MiniVMM",
                "Report", "Exec",
                "Bench", "Doctor", "Debugger", "Watch", argumentParser, logging,
            ],
            swiftSettings: safeSettings
        ),
        // A test target itself, so that it is built with tests alone.
        .testTarget(
            name: "TestSupport", dependencies: layers + [logging], swiftSettings: testSettings),
        tests(of: "Host"),
        tests(of: "Memory"),
        tests(of: "KVM"),
        tests(of: "Tracepoints"),
        tests(of: "Counters", on: histogram),
        tests(of: "Devices"),
        tests(of: "Boot"),
        tests(of: "Symbols"),
        tests(of: "MiniVMM", on: logging),
        tests(of: "Report", on: logging),
        tests(of: "Exec"),
        tests(of: "Bench"),
        tests(of: "Doctor"),
        tests(of: "Debugger"),
        tests(of: "Watch"),
        tests(of: "minivmm-cli", on: argumentParser, logging),
    ] + fuzzing,
    swiftLanguageModes: [.v6]
)
