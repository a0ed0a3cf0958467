@testable import Exec
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
        XCTAssertNil(ScriptHeader(Array("#!".utf8) + [0xff, 0xfe]))
    }

    func testNoMoreThanTheKernelReads() {
        XCTAssertEqual(header("#!" + String(repeating: "x", count: 1000))?.interpreter.count, 254)
    }

    func testWhatEnvIsAskedFor() {
        XCTAssertEqual(header("#!/usr/bin/env python3\n")?.programOfEnv, "python3")
        XCTAssertEqual(header("#!/bin/env -S A=b node --x\n")?.programOfEnv, "node")
        XCTAssertNil(header("#!/bin/sh python3\n")?.programOfEnv)
        XCTAssertNil(header("#!/usr/bin/env\n")?.programOfEnv)
    }
}
