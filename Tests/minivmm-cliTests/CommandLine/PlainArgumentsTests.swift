import ArgumentParser
@testable import TestSupport
import XCTest

@testable import minivmm_cli

/// The two readers of the command line agree.
final class PlainArgumentsTests: XCTestCase {
    func testPlainCommandLinesMeanTheSameToBoth() throws {
        try TestBed.skipWhereEmulated()
        let lines = [
            "run --guest hello", "run image.bin", "run --stats none image.bin --timeout 1.5",
            "run --guest storm --argument 1000000 --stats none",
            "run --guest hello --per-vcpu --exits total --cpus 2 --stats json",
            "run --guest hello --memory 2M --load-address 0x9000 --entry 0900:0000",
            "run --guest hello --leaves f21 --cpuid-trap patch --log-level debug --kvm-device /dev/null",
            "run --guest hello --leaves s21 --exit-types svm --exits user",
            "run --stats json --stats-file out.json --guest counters", "run --guest hello --guest storm", "run help",
            "run --guest hello --timeout 5 --timeout 6", "run --stats table x", "run --guest hello --load-address 4096",
            "run --guest hello --no-sandbox --stats none",
            "run vmlinuz --initrd i --append quiet --memory 1G --cpus 4",
        ]
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            let plain = try XCTUnwrap(PlainArguments.parse(words), line)
            let parsed = try XCTUnwrap(MiniVMMCommand.parseAsRoot(words) as? RunCommand, line)
            XCTAssertEqual(plain, parsed.configuration, line)
        }
    }

    func testDefaultsAreThoseOfTheConfiguration() throws {
        let parsed = try XCTUnwrap(MiniVMMCommand.parseAsRoot(["run", "--guest", "hello"]) as? RunCommand)
        var expected = RunConfiguration()
        expected.guest.name = "hello"
        XCTAssertEqual(parsed.configuration, expected)
    }

    func testAnythingElseIsLeftToArgumentParser() {
        let lines = [
            "", "doctor", "guests", "--help", "run", "run --help", "run -h", "run --version", "run --guest=hello",
            "run --guest", "run --guest nope", "run --guest hello image.bin", "run one two",
            "run --guest hello --bogus 1", "run --guest hello --stats", "run --guest hello --gues storm",
            "run --guest hello --argument -1", "run --guest hello --argument 4294967296",
            "run --guest hello --stats xml", "run --guest hello --cpus two", "run --guest hello --leaves f23",
            "run --guest hello --timeout 0", "run --guest hello --top 0", "run --guest hello --timeout nan",
            "run --guest hello -- x", "run -",
            "run --guest hello --memory 12Q", "run --guest hello --entry 7c00", "run --guest hello --cpuid-site 1",
            "run --stats none", "run --guest hello --report r.html", "run --guest hello --append --quiet",
        ]
        for line in lines {
            XCTAssertNil(PlainArguments.parse(line.split(separator: " ").map(String.init)), line)
        }
    }
}
