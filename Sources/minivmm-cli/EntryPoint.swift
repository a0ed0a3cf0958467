import ArgumentParser

/// Where the program starts: plain command lines take the short way, all others that of ArgumentParser.
@main
enum EntryPoint {
    static func main() {
        guard let request = PlainArguments.parse(Array(CommandLine.arguments.dropFirst())) else {
            return MiniVMMCommand.main()
        }
        do {
            try request.run()
        } catch {
            MiniVMMCommand.exit(withError: error)
        }
    }
}
