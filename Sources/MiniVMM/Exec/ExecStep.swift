import GuestImages

/// What the init of an `exec` guest was doing when it failed.
public enum ExecStep: UInt32, Hashable, Sendable, CaseIterable {
    /// Mapping the window of the channel to MiniVMM.
    case mapWindow = 1
    /// Reading what it is to execute.
    case readOrder = 2
    /// Making pipes and a process.
    case makeProcess = 3
    /// Changing to the working directory.
    case enterDirectory = 4
    /// Executing the program.
    case execute = 5
}

extension ExecStep {
    /// What was being done, as the subject of a sentence.
    var description: String {
        switch self {
        case .mapWindow: "mapping the window to MiniVMM"
        case .readOrder: "reading what to execute"
        case .makeProcess: "making a process for the program"
        case .enterDirectory: "changing to the working directory"
        case .execute: "executing the program"
        }
    }

    var remedy: String {
        switch self {
        case .mapWindow: "Use a kernel with CONFIG_DEVMEM and without lockdown, such as Debian's."
        case .readOrder, .makeProcess: "Give the guest more memory with --memory."
        case .enterDirectory: "Run this from another directory."
        case .execute: "Check that the guest's kernel runs such programs: 32-bit ones need CONFIG_IA32_EMULATION."
        }
    }

    var exitStatus: ExitStatus {
        switch self {
        case .mapWindow, .readOrder, .makeProcess, .enterDirectory: .guestDied
        case .execute: .programNotExecutable
        }
    }
}
