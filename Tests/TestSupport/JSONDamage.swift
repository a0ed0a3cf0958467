/// Ways to damage a JSON value, one place at a time: to see that a schema notices.
enum JSONDamage {
    /// A damaged value, and what was done to it.
    struct Case {
        let what: String
        let value: JSONValue
    }

    /// What no schema here allows anywhere.
    private static let foreign = JSONValue.object(["foreign": .array([])])

    /// Every case: each part replaced by something foreign, each member left out, something foreign added to each
    /// object.
    static func all(of value: JSONValue, _ path: String = "$") -> [Case] {
        var cases = [Case(what: "\(path) replaced", value: foreign)]
        switch value {
        case .object(let members):
            cases += ofObject(members, path)
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                cases += all(of: element, "\(path)[\(index)]").map { inner in
                    var elements = elements
                    elements[index] = inner.value
                    return Case(what: inner.what, value: .array(elements))
                }
            }
        case .integer:
            cases.append(Case(what: "\(path) negative", value: .integer(-1)))
            cases.append(Case(what: "\(path) broken", value: .number(0.5)))
        default: break
        }
        return cases
    }

    private static func ofObject(_ members: [String: JSONValue], _ path: String) -> [Case] {
        var cases = [Case(what: "\(path) with a foreign member", value: .object(members.adding("foreign", foreign)))]
        for (name, member) in members {
            cases.append(
                Case(what: "\(path).\(name) removed", value: .object(members.filter { $0.key != name })))
            cases += all(of: member, "\(path).\(name)").map { inner in
                Case(what: inner.what, value: .object(members.adding(name, inner.value)))
            }
        }
        return cases
    }
}

extension [String: JSONValue] {
    /// The same members, with one added or replaced.
    fileprivate func adding(_ name: String, _ value: JSONValue) -> Self {
        merging([name: value]) { _, new in new }
    }
}
