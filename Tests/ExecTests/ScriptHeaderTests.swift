@testable import Exec
@testable import Host
@testable import TestSupport
import XCTest

final class ScriptHeaderTests: XCTestCase {
    private func header(_ text: String) -> ScriptHeader? { ScriptHeader(Array(text.utf8)) }

    func testInterpreterAndArgument() {
        for (text, interpreter, argument) in [
            ("#!/bin/sh\n", "/bin/sh", ""), ("#!/bin/sh", "/bin/sh", ""), ("#! \t/bin/sh  \n-x", "/bin/sh", ""),
            ("#!/usr/bin/awk  -f -v \t\nx", "/usr/bin/awk", "-f -v"), ("#!a\0b\n", "a", ""),
        ] {
            XCTAssertEqual(header(text)?.interpreter, interpreter, text)
            XCTAssertEqual(header(text)?.argument, argument, text)
        }
    }

    func testWhatIsNoScript() {
        for text in ["", "#", "#!", "#!  \n/bin/sh", "# !/bin/sh", "\u{7f}ELF"] { XCTAssertNil(header(text), text) }
    }

    func testNamesAreBytes() {
        let header = ScriptHeader(Array("#!/bin/".utf8) + [0xff, 0xfe, 0x20, 0xe4])
        XCTAssertEqual(header.map { ForeignText.bytes($0.interpreter) }, Array("/bin/".utf8) + [0xff, 0xfe])
        XCTAssertEqual(header.map { ForeignText.bytes($0.argument) }, [0xe4])
        // A script that was written on Windows. The kernel takes the carriage return for a part of the name.
        XCTAssertEqual(self.header("#!/bin/sh\r\necho\r\n")?.interpreter, "/bin/sh\r")
    }

    func testNoMoreThanTheKernelReads() {
        XCTAssertEqual(header("#!" + String(repeating: "x", count: 1000))?.interpreter.count, 254)
    }

    func testWhatEnvIsAskedFor() {
        XCTAssertEqual(header("#!/usr/bin/env python3\n")?.programOfEnv, "python3")
        XCTAssertEqual(header("#!/bin/env -S A=b node --x\n")?.programOfEnv, "node")
        for (argument, program) in [
            ("sh", "sh"), ("-S sh -c x", "sh"), ("-Ssh -c \"echo x\"", "sh"), ("-S -u FOO sh -c \"echo x\"", "sh"),
            ("-S-uFOO sh", "sh"), ("-S -i A=b sh", "sh"), ("-iS sh", "sh"), ("-vS sh", "sh"),
            ("--split-string=sh -c", "sh"),
            ("-S --unset=A --chdir=/ sh", "sh"), ("-S -C /tmp sh", "sh"), ("-S - sh", "sh"), ("-S -- sh", "sh"),
            ("-S 'a b' c", "a b"), ("-S \"a\\_b\" c", "a b"), ("-S a\\_b", "a"), ("-S a\\tb", "a\tb"),
            ("-S sh # x", "sh"),
            ("-S -S\\_sh", "sh"), ("-S a'b'\"c\"", "abc"), ("python3 -u", "python3 -u"),
        ] {
            XCTAssertEqual(header("#!/usr/bin/env \(argument)\n")?.programOfEnv, program, argument)
        }
        // What depends on the environment or is wrong is not guessed at.
        for argument in ["-S ${A}", "-S 'a", "-S a\\", "-S a\\z", "-S A=b", "-u", "-i", "-x sh", "-S -u"] {
            XCTAssertNil(header("#!/usr/bin/env \(argument)\n")?.programOfEnv, argument)
        }
        XCTAssertNil(header("#!/bin/sh python3\n")?.programOfEnv)
        XCTAssertNil(header("#!/usr/bin/env\n")?.programOfEnv)
    }
}
