/// A JSON Schema, of the keywords that the schemas in this repository use. Any other keyword is an error: a check that
/// is written down and not made would be worse than none.
///
/// Source: JSON Schema, draft 2020-12.
struct JSONSchema {
    /// What is wrong with a schema itself.
    enum Fault: Error, Equatable {
        /// A keyword that this reader does not know.
        case unknownKeyword(String, path: String)
        /// A keyword whose value this reader does not understand.
        case badKeyword(String, path: String)
        /// A reference to nothing.
        case danglingReference(String)
    }

    private let root: JSONSchemaNode
    private let definitions: [String: JSONSchemaNode]

    /// Reads a schema's text.
    ///
    /// - Throws: ``Fault``, or an error of the JSON reader.
    init(_ text: [UInt8]) throws {
        let json = try JSONValue(text)
        root = try JSONSchemaNode(json, path: "#")
        guard case .object(let members) = json["$defs"] ?? .object([:]) else {
            throw Fault.badKeyword("$defs", path: "#")
        }
        definitions = try members.reduce(into: [:]) { definitions, member in
            definitions[member.key] = try JSONSchemaNode(member.value, path: "#/$defs/\(member.key)")
        }
        for name in ([root] + definitions.values).flatMap(\.references) where definitions[name] == nil {
            throw Fault.danglingReference(name)
        }
    }

    /// Reads one of the schemas of the repository.
    init(file: String) throws {
        try self.init(RepositoryFile.bytes("Schemas/" + file))
    }

    /// What the `$id` of each schema begins with: its name, and the version of the format, follow.
    static let idPrefix = "urn:minivmm:"

    /// Reads the schema of the repository that has an `$id`.
    init(id: String) throws {
        let name = id.dropFirst(Self.idPrefix.count).prefix { $0 != ":" }
        let text = try RepositoryFile.bytes("Schemas/\(name).schema.json")
        guard try JSONValue(text)["$id"]?.string == id else { throw Fault.danglingReference(id) }
        try self.init(text)
    }

    /// What is wrong with a value: a sentence each, with the path of the part that is wrong.
    func problems(of value: JSONValue) -> [String] {
        problems(of: value, root, "$")
    }

    private func problems(of value: JSONValue, _ node: JSONSchemaNode, _ path: String) -> [String] {
        var problems = node.ownProblems(of: value, path)
        if let name = node.reference, let target = definitions[name] {
            problems += self.problems(of: value, target, path)
        }
        if let other = node.other {
            do {
                problems += try JSONSchema(id: other).problems(of: value).map { "\(path): \($0)" }
            } catch {
                problems.append("\(path): \(error)")
            }
        }
        switch value {
        case .object(let members):
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                let memberPath = "\(path).\(name)"
                if let schema = node.properties[name] ?? node.otherProperties {
                    problems += self.problems(of: member, schema, memberPath)
                } else if node.isClosed {
                    problems.append("\(memberPath) is not in the schema")
                }
            }
        case .array(let elements):
            if let items = node.items {
                for (index, element) in elements.enumerated() {
                    problems += self.problems(of: element, items, "\(path)[\(index)]")
                }
            }
        default: break
        }
        return problems
    }
}
