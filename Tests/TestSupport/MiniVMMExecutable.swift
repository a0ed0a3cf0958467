import Foundation

/// The `minivmm` that was built along with the tests.
enum MiniVMMExecutable {
    /// Its path: MINIVMM_EXECUTABLE, or beside the test bundle, which on Linux is the program that runs now.
    ///
    /// - Throws: ``ProcessError`` when nothing is there.
    static func path() throws -> String {
        if let named = ProcessInfo.processInfo.environment["MINIVMM_EXECUTABLE"] { return try checked(named) }
        let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return try checked(URL(fileURLWithPath: bundle).deletingLastPathComponent().path + "/minivmm")
    }

    private static func checked(_ path: String) throws -> String {
        guard FileManager.default.isExecutableFile(atPath: path) else { throw ProcessError.notBuilt(path: path) }
        return path
    }
}
