import Glibc

/// Standard input, output and error.
enum StandardDescriptors {
    /// Fills the places of those that are closed, so that no file that is opened later comes there: the guest's output
    /// would go into it.
    ///
    /// They stay as useless as they were: input can only be written to, and the others only be read from.
    static func fill() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest number that is free, which is this one, because the ones before it have been filled. Without
            // /dev/null there is nothing to be done.
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }
}
