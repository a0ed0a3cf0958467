@testable import TestSupport
import XCTest

/// The reader of JSON Schemas itself: what the other tests lean on must be able to fail.
final class JSONSchemaTests: XCTestCase {
    private func problems(_ schema: String, _ value: String) throws -> [String] {
        try JSONSchema(Array(schema.utf8)).problems(of: JSONValue(value))
    }

    func testTypes() throws {
        let values = [
            "null": "null", "boolean": "true", "integer": "7", "string": #""s""#, "array": "[]", "object": "{}",
        ]
        for (type, _) in values {
            for (other, value) in values {
                let count = try problems(#"{"type": "\#(type)"}"#, value).count
                XCTAssertEqual(count, type == other ? 0 : 1, "\(value) as \(type)")
            }
        }
        XCTAssertEqual(try problems(#"{"type": "number"}"#, "7"), [])
        XCTAssertEqual(try problems(#"{"type": "number"}"#, "7.5"), [])
        XCTAssertEqual(try problems(#"{"type": "integer"}"#, "7.5").count, 1)
        XCTAssertEqual(try problems(#"{"type": ["integer", "null"]}"#, "null"), [])
        XCTAssertEqual(try problems(#"{"type": ["integer", "null"]}"#, "true").count, 1)
    }

    func testMembers() throws {
        let schema = """
            {"required": ["a"], "properties": {"a": {"type": "integer"}}, "additionalProperties": false}
            """
        XCTAssertEqual(try problems(schema, #"{"a": 1}"#), [])
        XCTAssertEqual(try problems(schema, "{}"), ["$.a is missing"])
        XCTAssertEqual(try problems(schema, #"{"a": 1, "b": 2}"#), ["$.b is not in the schema"])
        XCTAssertEqual(try problems(schema, #"{"a": "1"}"#).count, 1)
        let open = #"{"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}"#
        XCTAssertEqual(try problems(open, #"{"a": "x", "b": 2}"#), [])
        XCTAssertEqual(try problems(open, #"{"b": "x"}"#).count, 1)
    }

    func testElementsAndValues() throws {
        XCTAssertEqual(try problems(#"{"items": {"minimum": 3}}"#, "[3, 4]"), [])
        XCTAssertEqual(try problems(#"{"items": {"minimum": 3}}"#, "[3, 2]"), ["$[1] is 2, less than 3"])
        XCTAssertEqual(try problems(#"{"enum": ["a", null]}"#, "null"), [])
        XCTAssertEqual(try problems(#"{"enum": ["a", null]}"#, #""b""#).count, 1)
        XCTAssertEqual(try problems(#"{"const": 1}"#, "1"), [])
        XCTAssertEqual(try problems(#"{"const": 1}"#, "true").count, 1)
    }

    func testReferences() throws {
        let schema = """
            {"items": {"$ref": "#/$defs/list"}, "$defs": {"list": {"items": {"$ref": "#/$defs/word"}},
            "word": {"type": "string"}}}
            """
        XCTAssertEqual(try problems(schema, #"[["a"], []]"#), [])
        XCTAssertEqual(try problems(schema, #"[["a", 1]]"#).count, 1)
        XCTAssertThrowsError(try problems(##"{"items": {"$ref": "#/$defs/none"}}"##, "1")) { error in
            XCTAssertEqual(error as? JSONSchema.Fault, .danglingReference("none"))
        }
    }

    func testUnknownKeywordsAreErrorsWhereverTheyStand() {
        for schema in [
            #"{"pattern": "x"}"#, #"{"items": {"maximum": 1}}"#, #"{"properties": {"a": {"if": {}}}}"#,
            #"{"$defs": {"a": {"anyOf": []}}}"#, #"{"additionalProperties": {"format": "date"}}"#,
        ] {
            XCTAssertThrowsError(try problems(schema, "1")) { error in
                guard case JSONSchema.Fault.unknownKeyword = error else { return XCTFail("\(error)") }
            }
        }
    }

    func testKeywordsWithOddValuesAreErrors() {
        for schema in [
            #"{"type": "text"}"#, #"{"type": 1}"#, #"{"minimum": 1.5}"#, #"{"$ref": "other.json"}"#, #"{"items": []}"#,
        ] {
            XCTAssertThrowsError(try problems(schema, "1")) { error in
                guard case JSONSchema.Fault.badKeyword = error else { return XCTFail("\(error)") }
            }
        }
    }
}
