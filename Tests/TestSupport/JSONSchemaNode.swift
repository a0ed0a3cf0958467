/// One schema, or a schema inside another.
final class JSONSchemaNode {
    /// Keywords that say something to people only.
    private static let annotations: Set<String> = ["$schema", "$id", "title", "description", "$defs"]
    private static let typeNames: Set<String> = [
        "null", "boolean", "integer", "number", "string", "array", "object",
    ]

    private(set) var types: Set<String>?
    private(set) var required: [String] = []
    private(set) var properties: [String: JSONSchemaNode] = [:]
    /// The schema of members that `properties` does not name.
    private(set) var otherProperties: JSONSchemaNode?
    /// Whether there may be no members that `properties` does not name.
    private(set) var isClosed = false
    private(set) var items: JSONSchemaNode?
    private(set) var allowed: [JSONValue]?
    private(set) var minimum: Int64?
    /// The `$id` of another schema that holds as well.
    private(set) var other: String?
    /// The name of a definition that holds as well.
    private(set) var reference: String?

    init(_ json: JSONValue, path: String) throws {
        guard case .object(let members) = json else { throw JSONSchema.Fault.badKeyword("schema", path: path) }
        for (keyword, value) in members where !Self.annotations.contains(keyword) {
            guard try read(keyword, value, "\(path)/\(keyword)") else {
                throw JSONSchema.Fault.badKeyword(keyword, path: path)
            }
        }
    }

    /// Reads one keyword.
    ///
    /// - Returns: Whether its value makes sense.
    private func read(_ keyword: String, _ value: JSONValue, _ path: String) throws -> Bool {
        switch (keyword, value) {
        case ("type", .string(let name)): types = [name]
        case ("type", .array(let names)): types = Set(names.compactMap(\.string))
        case ("required", .array(let names)): required = names.compactMap(\.string)
        case ("properties", .object(let members)):
            for (name, member) in members {
                properties[name] = try JSONSchemaNode(member, path: "\(path)/\(name)")
            }
        case ("additionalProperties", .bool(let isOpen)): isClosed = !isOpen
        case ("additionalProperties", .object): otherProperties = try JSONSchemaNode(value, path: path)
        case ("items", .object): items = try JSONSchemaNode(value, path: path)
        case ("enum", .array(let values)): allowed = values
        case ("const", _): allowed = [value]
        case ("minimum", .integer(let least)): minimum = least
        case ("$ref", .string(let target)) where target.hasPrefix(JSONSchema.idPrefix):
            other = target
        case ("$ref", .string(let target)):
            guard target.hasPrefix("#/$defs/") else { return false }
            reference = String(target.dropFirst("#/$defs/".count))
        case ("type", _), ("required", _), ("properties", _), ("additionalProperties", _), ("items", _), ("enum", _),
            ("minimum", _), ("$ref", _):
            return false
        default: throw JSONSchema.Fault.unknownKeyword(keyword, path: path)
        }
        return types?.isSubset(of: Self.typeNames) ?? true
    }

    /// The definitions that this schema and those in it refer to.
    var references: [String] {
        let inner = Array(properties.values) + [otherProperties, items].compactMap { $0 }
        return (reference.map { [$0] } ?? []) + inner.flatMap(\.references)
    }

    /// What is wrong with a value, its members and elements aside.
    func ownProblems(of value: JSONValue, _ path: String) -> [String] {
        var problems: [String] = []
        if let types, types.isDisjoint(with: Self.typeNames(of: value)) {
            problems.append("\(path) is \(value), not \(types.sorted().joined(separator: " or "))")
        }
        if let allowed, !allowed.contains(value) { problems.append("\(path) is \(value), not one of \(allowed)") }
        if let minimum, let number = value.integer, number < minimum {
            problems.append("\(path) is \(number), less than \(minimum)")
        }
        if case .object(let members) = value {
            problems += required.filter { members[$0] == nil }.map { "\(path).\($0) is missing" }
        }
        return problems
    }

    private static func typeNames(of value: JSONValue) -> Set<String> {
        switch value {
        case .null: ["null"]
        case .bool: ["boolean"]
        case .integer: ["integer", "number"]
        case .number: ["number"]
        case .string: ["string"]
        case .array: ["array"]
        case .object: ["object"]
        }
    }
}
