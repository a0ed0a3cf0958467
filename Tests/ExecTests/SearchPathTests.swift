@testable import Exec
@testable import Host
@testable import TestSupport
import XCTest
@testable import minivmm_cli

final class SearchPathTests: XCTestCase {
    private func find(
        _ name: String, in path: String, _ host: SampleHost, from directory: String = "/"
    ) -> Result<String, ExecError> {
        Result { () throws(ExecError) in try SearchPath(text: path).find(name, from: directory, in: host.files) }
    }

    private func makeHost() throws -> SampleHost {
        let host = SampleHost(folder: try makeFolder())
        try host.program("/a/tool", SampleProgram(), mode: 0o644)
        try host.program("/b/tool", SampleProgram())
        try host.program("/c/other", SampleProgram())
        try host.file("/d/tool/file")
        return host
    }

    func testTheFirstThatCanBeExecuted() throws {
        let host = try makeHost()
        XCTAssertEqual(find("tool", in: "/none:/a:/d:/b", host), .success("/b/tool"))
        XCTAssertEqual(find("other", in: "/a:/c", host), .success("/c/other"))
        XCTAssertEqual(find("tool", in: "", host, from: "/b"), .success("/b/./tool"))
        XCTAssertEqual(find("tool", in: "/c:", host, from: "/b"), .success("/b/./tool"))
    }

    func testPaths() throws {
        let host = try makeHost()
        XCTAssertEqual(find("/b/tool", in: "", host), .success("/b/tool"))
        XCTAssertEqual(find("./tool", in: "/x", host, from: "/b"), .success("/b/./tool"))
        XCTAssertEqual(find("../b/tool", in: "/x", host, from: "/a"), .success("/a/../b/tool"))
        try host.link("/link", to: "b/tool")
        XCTAssertEqual(find("/link", in: "", host), .success("/link"))
    }

    func testWhatIsNotThere() throws {
        let host = try makeHost()
        XCTAssertEqual(find("x", in: "/a:/b", host), .failure(.programNotFound(name: "x", searched: "/a:/b")))
        XCTAssertEqual(find("/x", in: "/a", host), .failure(.programNotFound(name: "/x", searched: nil)))
        XCTAssertEqual(find("/a/tool/x", in: "", host), .failure(.programNotFound(name: "/a/tool/x", searched: nil)))
        XCTAssertEqual(find("", in: "/a", host), .failure(.programNotFound(name: "\"\"", searched: nil)))
    }

    func testWhatCannotBeExecuted() throws {
        let host = try makeHost()
        let reason = "has no permission to be executed"
        XCTAssertEqual(find("tool", in: "/a:/c", host), .failure(.notExecutable(path: "/a/tool", reason: reason)))
        XCTAssertEqual(find("/b", in: "", host), .failure(.notExecutable(path: "/b", reason: "is a directory")))
        try host.link("/x", to: "y")
        try host.link("/y", to: "x")
        XCTAssertEqual(find("/x", in: "", host), .failure(.unreadable(path: "/x", .tooManyLinks)))
        XCTAssertEqual(ExecError.programNotFound(name: "x", searched: nil).exitStatus.rawValue, 127)
        XCTAssertEqual(ExecError.notExecutable(path: "x", reason: "y").exitStatus.rawValue, 126)
    }
}
