import CKVM
import Glibc

/// Names of functions as their programmers write them.
enum Demangler {
    /// The name of a function of C++ or Swift in the words of its language; any other as it is.
    static func readable(_ name: String) -> String {
        guard let demangle = unsafe demangler(of: name) else { return name }
        // Sound: the demangler reads up to the zero, and what it returns ends with one and is ours to free.
        guard let text = unsafe name.withCString(demangle) else { return name }
        defer { unsafe free(text) }
        // Names of Swift may have any letter; a terminal is to act on none.
        return unsafe String(
            String.UnicodeScalarView(
                String(cString: text).unicodeScalars.map { isPrintable($0) ? $0 : "?" }))
    }

    private static func demangler(
        of name: String
    ) -> ((UnsafePointer<CChar>) -> UnsafeMutablePointer<CChar>?)? {
        if name.hasPrefix("_Z") { return unsafe ckvm_demangle_cxx }
        if name.hasPrefix("$s") || name.hasPrefix("_$s") { return unsafe ckvm_demangle_swift }
        return nil
    }

    /// ASCII but controls; letters of any script, but no marks that change the direction of what follows.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII ? (0x20...0x7e).contains(scalar.value) : scalar.properties.isAlphabetic
    }
}
