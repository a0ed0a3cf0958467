import ArgumentParser

@main
struct MiniVMMCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "minivmm")
}
