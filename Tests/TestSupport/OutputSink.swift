/// Where a program's standard output goes.
enum OutputSink {
    /// To the test, which reads all of it.
    case captured
    /// Into a pipe that is full and that nobody reads.
    case unread
    /// To a reader that closes the pipe after so many bytes.
    case closedAfter(Int)
    /// To a file or device that exists.
    case file(String)
}
