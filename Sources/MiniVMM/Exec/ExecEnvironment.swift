/// The environment that a program finds in its guest.
public struct ExecEnvironment: Hashable, Sendable {
    /// The settings, of the form NAME=VALUE, in their order; byte for byte what the program gets.
    public private(set) var settings: [[UInt8]]

    /// PATH, HOME and TERM.
    ///
    /// - Parameter terminal: TERM.
    public init(terminal: [UInt8] = Array("dumb".utf8)) {
        settings = ["PATH=\(SearchPath.standard.text)", "HOME=/root"].map { Array($0.utf8) }
        settings.append(Array("TERM=".utf8) + terminal)
    }

    /// Adds a setting, in place of one of the same name.
    ///
    /// - Throws: ``ExecError/invalidSetting(_:)`` when it is not of the form NAME=VALUE.
    public mutating func set(_ setting: [UInt8]) throws(ExecError) {
        let name = setting.prefix { $0 != Self.equalsSign }
        guard !name.isEmpty, name.count < setting.count
        else { throw .invalidSetting(String(decoding: setting, as: UTF8.self)) }
        settings.removeAll { $0.prefix { $0 != Self.equalsSign } == name }
        settings.append(setting)
    }

    /// The value of a name, as far as it is text.
    func value(of name: String) -> String? {
        let start = Array("\(name)=".utf8)
        let setting = settings.first { $0.starts(with: start) }
        return setting.map { String(decoding: $0.dropFirst(start.count), as: UTF8.self) }
    }

    private static let equalsSign = UInt8(ascii: "=")
}
