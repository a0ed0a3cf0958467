@testable import Boot
@testable import Exec
@testable import TestSupport
import XCTest
@testable import minivmm_cli

final class ExecOrderTests: XCTestCase {
    private let base: UInt64 = 0x1000_0000

    /// What init finds: it follows the pointers.
    private func decode(_ bytes: [UInt8]) throws -> (flags: UInt64, order: ExecOrder) {
        func word(_ address: UInt64) throws -> UInt64 { try XCTUnwrap(bytes.integer(at: address - base)) }
        func string(_ address: UInt64) throws -> [UInt8] {
            let start = Int(address - base)
            return Array(bytes[start..<(try XCTUnwrap(bytes[start...].firstIndex(of: 0)))])
        }
        func list(_ address: UInt64) throws -> [[UInt8]] {
            var list: [[UInt8]] = []
            while case let pointer = try word(address + UInt64(8 * list.count)), pointer != 0 {
                list.append(try string(pointer))
            }
            return list
        }
        var order = ExecOrder(
            program: try string(word(base + 8)), directory: try string(word(base + 16)),
            arguments: try list(word(base + 24)), environment: try list(word(base + 32)))
        var module = try word(base + 40)
        while case let path = try word(module), path != 0 {
            order.modules.append(.init(path: try string(path), isCompressed: try word(module + 8) == 4))
            module += 16
        }
        var share = try word(base + 48)
        while case let tag = try word(share), tag != 0 {
            order.shares.append(
                .init(
                    tag: try string(tag), path: try string(word(share + 8)),
                    // MS_NOSUID and MS_NODEV are always there.
                    isReadOnly: try XCTUnwrap([6: false, 7: true][word(share + 16)])))
            share += 24
        }
        return (try word(base), order)
    }

    func testEveryByteArrives() throws {
        let everything = (1...255).map { UInt8($0) }
        for arguments in [[], [[]], [everything, [], Array("a b".utf8)]] {
            for environment in [[], [Array("A=".utf8) + everything, Array("B=".utf8)]] {
                var order = ExecOrder(
                    program: Array("/bin/ls".utf8), directory: Array("/".utf8), arguments: arguments,
                    environment: environment)
                var found = try decode(order.encoded())
                XCTAssertEqual(found.order, order)
                XCTAssertEqual(found.flags, 0)
                order.mergesOutput = true
                found = try decode(order.encoded())
                XCTAssertEqual(found.flags, 1)
                order.modules = [.init(path: [1], isCompressed: false), .init(path: [2], isCompressed: true)]
                XCTAssertEqual(try decode(order.encoded()).order.modules, order.modules)
                order.shares = [
                    .init(tag: [3], path: [4, 5], isReadOnly: false), .init(tag: [6], path: [7], isReadOnly: true),
                ]
                let decoded = try decode(order.encoded()).order
                XCTAssertEqual(decoded.shares, order.shares)
                XCTAssertEqual(decoded.modules, order.modules)
                order.sendsSymbols = true
                found = try decode(order.encoded())
                XCTAssertEqual(found.flags, 3)
                order.hasNetwork = true
                found = try decode(order.encoded())
                XCTAssertEqual(found.flags, 7)
            }
        }
    }

    func testLimits() throws {
        var order = ExecOrder(program: [1], directory: [1], arguments: [], environment: [])
        order.arguments = [[UInt8](repeating: 1, count: 0x1_ffff)]
        XCTAssertEqual(try decode(order.encoded()).order, order)
        order.arguments = [[UInt8](repeating: 1, count: 0x2_0000)]
        XCTAssertThrowsError(try order.encoded()) {
            XCTAssertEqual($0 as? ExecError, .argumentsTooLong(size: 0x2_0000, limit: 0x1_ffff))
        }
        order.arguments = Array(repeating: [UInt8](repeating: 1, count: 0x1_0000), count: 33)
        XCTAssertThrowsError(try order.encoded()) {
            XCTAssertEqual(($0 as? ExecError)?.exitStatus, .programNotExecutable)
        }
        order.arguments = [[1, 0, 2]]
        XCTAssertThrowsError(try order.encoded()) { XCTAssertEqual($0 as? ExecError, .zeroByte) }
    }
}
