import Foundation
@testable import TestSupport
import XCTest

/// The schemas say what each member is, and the documentation that is made of them is up to date.
final class SchemaDocumentationTests: XCTestCase {
    private static let names = [
        "compare", "doctor", "guests", "run", "run-interval", "runs", "vmx", "watch", "watch-interval",
    ]

    private func schema(_ name: String) throws -> JSONValue {
        try JSONValue(RepositoryFile.bytes("Schemas/\(name).schema.json"))
    }

    /// The paths of members without a word about them.
    private func silent(_ node: JSONValue, _ path: String) -> [String] {
        var silent: [String] = []
        if case .object(let members)? = node["properties"] {
            for (name, member) in members {
                if member["description"] == nil, member["$ref"] == nil { silent.append("\(path).\(name)") }
                silent += self.silent(member, "\(path).\(name)")
                if let items = member["items"] { silent += self.silent(items, "\(path).\(name)[]") }
            }
        }
        if case .object(let definitions)? = node["$defs"] {
            for (name, definition) in definitions {
                if definition["description"] == nil { silent.append("\(path)#\(name)") }
                silent += self.silent(definition, "\(path)#\(name)")
            }
        }
        return silent
    }

    func testEveryMemberIsDescribed() throws {
        for name in Self.names {
            let schema = try schema(name)
            XCTAssertEqual(schema["$id"]?.string, "urn:minivmm:\(name):1")
            XCTAssertNotNil(schema["description"], name)
            XCTAssertEqual(silent(schema, name), [])
            XCTAssertNoThrow(try JSONSchema(id: "urn:minivmm:\(name):1"))
        }
    }

    func testTheDocumentationIsUpToDate() throws {
        try TestBed.skipWhereEmulated()
        let text = String(decoding: try RepositoryFile.bytes("docs/formats.md"), as: UTF8.self)
        for name in Self.names { XCTAssertTrue(text.contains("\n## \(name)\n"), name) }
        guard access("/usr/bin/python3", X_OK) == 0 else { throw XCTSkip("there is no python3 here") }
        let script = RepositoryFile.url("Scripts/schema-docs").path
        try CommandLineRun(command: ["/usr/bin/python3", script, "--check"]).assertStatus(0)
    }
}
