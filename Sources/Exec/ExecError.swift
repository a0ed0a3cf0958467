public import Boot
import GuestImages
public import Host
public import Memory

/// Why a program cannot be run in a guest of its own.
public enum ExecError: Error, Hashable, Sendable {
    /// There is no such program, neither at a path nor in the directories of a search path.
    case programNotFound(name: String, searched: String?)
    /// The file is none that can be executed. The reason goes on a sentence that begins with its path.
    case notExecutable(path: String, reason: String)
    /// What the program, script or library needs to run is not there.
    case missing(name: String, neededBy: String)
    /// What a file leads to is more than any program needs.
    case tooMuch(ExecLimit, neededBy: String)
    /// A file that was asked for, or that one leads to, cannot be read.
    case unreadable(path: String, ErrorNumber)
    /// What stands at the path cannot be put into the guest: "a socket".
    case notAFile(path: String, kind: String)
    /// The path is one that the guest's kernel has for itself.
    case reserved(path: String)
    /// The path of the destination is not absolute.
    case notAbsolute(path: String)
    /// A setting for the environment is no `NAME=VALUE`.
    case invalidSetting(String)
    /// An argument or a setting holds a zero byte.
    case zeroByte
    /// Arguments and environment are longer than Linux accepts, all together or one of them. Bytes.
    case argumentsTooLong(size: Int, limit: Int)
    /// The guest's memory does not hold all the files. Bytes.
    case memoryTooSmall(UInt64, needed: UInt64)
    /// A file cannot be read, or is too large.
    case file(ImageError)
    /// A file does not go into the archive.
    case archive(InitramfsError)
    /// There is no kernel to be had.
    case noKernel(directory: String)
    /// There are kernels, but this process may not read any: the newest one's path.
    case unreadableKernel(path: String, ErrorNumber)
    /// The modules of the kernel are not where distributions have them, or nobody can tell which they are.
    case noModules(kernel: String, directory: String?)
    /// The kernel has no such driver, neither built in nor as a module.
    case noModule(name: String, directory: String)
    /// The guest has no memory where the channel to the program has its window.
    case noWindow(GuestMemoryError)
    /// The program's output cannot be written: the disk is full.
    case outputNotWritable(ErrorNumber)
    /// The guest's init gave up while it did something.
    case initFailed(ExecStep, ErrorNumber)
    /// The guest's init wrote something that it does not write.
    case unknownStatus(UInt32)
    /// The guest ended without a word of what became of the program.
    case noStatus
}

extension ExecError: DiagnosticError {
    public var explanation: String {
        switch self {
        case .programNotFound(let name, nil): return "There is no program \(name)."
        case .programNotFound(let name, let path?): return "There is no program \(name) in \(path)."
        case .notExecutable(let path, let reason): return "\(path) \(reason)."
        case .missing(let name, let needer): return "\(needer) needs \(name), which is not there."
        case .tooMuch(let limit, let needer): return "\(needer) leads to \(limit)."
        case .unreadable(let path, let error):
            return "\(path) cannot be read (\(error.name): \(error.description))."
        case .notAFile(let path, let kind): return "\(path) is \(kind), which cannot be put into the guest."
        case .reserved(let path): return "Nothing can be put at \(path) in the guest: it is the kernel's own."
        case .notAbsolute(let path): return "\"\(path)\" is no absolute path in the guest."
        case .invalidSetting(let text): return "\"\(text)\" is no setting of the form NAME=VALUE."
        case .zeroByte: return "An argument or a setting for the program holds a zero byte, which would end it."
        case .argumentsTooLong(let size, let limit):
            return "The program's arguments and environment take \(size) bytes, and Linux accepts \(limit)."
        case .memoryTooSmall(let size, let needed):
            return "The guest has \(ByteCount(size)) of memory, and needs \(ByteCount(needed)) to hold the files."
        case .file(let error): return error.explanation
        case .archive(let error): return error.explanation
        case .noKernel(let directory): return "There is no kernel for the guest in \(directory)."
        case .unreadableKernel(let path, let error):
            return "The kernel \(path) cannot be read (\(error.name): \(error.description))."
        case .noModules(let kernel, nil): return "\(kernel) does not say which modules are its own."
        case .noModules(let kernel, let directory?): return "\(directory) has no list of the modules of \(kernel)."
        case .noModule(let name, let directory): return "The kernel has no driver \(name), nor is it in \(directory)."
        case .noWindow(let error): return error.explanation
        case .outputNotWritable(let error):
            return "The program's output cannot be written (\(error.name): \(error.description))."
        case .initFailed(let step, let error):
            return "In the guest, \(step.description) failed (\(error.name): \(error.description))."
        case .unknownStatus(let status): return "The guest's init reported \(Hex.number(status)), which has no meaning."
        case .noStatus: return "The guest ended, and did not say what became of the program."
        }
    }
}

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
    /// Loading a module of the kernel.
    case loadModule = 6
    /// Setting up the network interface.
    case setUpNetwork = 7
    /// Mounting a folder of the host.
    case mountShare = 8
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
        case .loadModule: "loading a module of the kernel"
        case .setUpNetwork: "setting up the network interface"
        case .mountShare: "mounting a shared folder"
        }
    }
}
