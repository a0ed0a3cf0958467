import Dispatch
@testable import Exec
import Synchronization
@testable import TestSupport
import XCTest

final class ExecInputTests: XCTestCase {
    /// An input, and how often it rang and woke.
    private final class Harness: Sendable {
        let rings = Atomic(0)
        let wakes = Atomic(0)

        func makeInput() -> ExecInput {
            ExecInput(
                ringGuest: { self.rings.add(1, ordering: .relaxed) },
                wakeReader: { self.wakes.add(1, ordering: .relaxed) })
        }

        var counts: [Int] { [rings.load(ordering: .relaxed), wakes.load(ordering: .relaxed)] }
    }

    private func fetch(_ input: ExecInput, room: Int = 100) -> (answer: ExecInput.Answer, bytes: [UInt8]) {
        var memory = [UInt8](repeating: 0xee, count: room)
        let answer = memory.withUnsafeMutableBytes { input.fetch(into: $0) }
        guard case .bytes(let count) = answer else { return (answer, []) }
        XCTAssertTrue(memory[count...].allSatisfy { $0 == 0xee })
        return (answer, Array(memory[..<count]))
    }

    func testNothingIsTakenBeforeTheGuestAsks() {
        let harness = Harness()
        let input = harness.makeInput()
        XCTAssertFalse(input.isReadyToReceive())
        XCTAssertEqual(input.receive([1, 2]), 0)
        XCTAssertEqual(fetch(input).answer, .bytes(0))
        XCTAssertEqual(harness.counts, [0, 1])
        XCTAssertTrue(input.isReadyToReceive())
        XCTAssertEqual(input.receive([1, 2]), 2)
        XCTAssertEqual(harness.counts, [1, 1])
        XCTAssertEqual(fetch(input, room: 1).bytes, [1])
        XCTAssertEqual(fetch(input, room: 1).bytes, [2])
        XCTAssertEqual(harness.counts, [1, 1])
    }

    func testTheGuestIsRungForOnce() {
        let harness = Harness()
        let input = harness.makeInput()
        _ = fetch(input)
        for byte: UInt8 in 0..<5 { XCTAssertEqual(input.receive([byte]), 1) }
        XCTAssertEqual(harness.counts, [1, 0])
        XCTAssertEqual(fetch(input).bytes, [0, 1, 2, 3, 4])
        XCTAssertEqual(input.receive([9]), 1)
        // The guest has not been told that there is nothing, so it will ask.
        XCTAssertEqual(harness.counts, [1, 0])
        XCTAssertEqual(fetch(input).bytes, [9])
        XCTAssertEqual(fetch(input).answer, .bytes(0))
        input.end()
        XCTAssertEqual(harness.counts, [2, 0])
        XCTAssertEqual(fetch(input).answer, .end)
    }

    func testTheEndComesAfterTheRest() {
        let harness = Harness()
        let input = harness.makeInput()
        _ = fetch(input)
        XCTAssertEqual(input.receive([1]), 1)
        input.end()
        XCTAssertEqual(fetch(input).bytes, [1])
        for _ in 0..<3 { XCTAssertEqual(fetch(input).answer, .end) }
        XCTAssertEqual(harness.counts, [1, 0])
    }

    func testAnEndBeforeTheFirstQuestion() {
        let input = Harness().makeInput()
        input.end()
        XCTAssertEqual(fetch(input).answer, .end)
    }

    func testAGuestThatDoesNotFetchHoldsNoMore() {
        let harness = Harness()
        let input = harness.makeInput()
        _ = fetch(input)
        let bytes = [UInt8](repeating: 7, count: 50_000)
        XCTAssertEqual(input.receive(bytes[...]), 50_000)
        XCTAssertEqual(input.receive(bytes[...]), ExecInput.capacity - 50_000)
        XCTAssertFalse(input.isReadyToReceive())
        XCTAssertEqual(harness.counts, [1, 0])
        XCTAssertEqual(fetch(input, room: 10).bytes.count, 10)
        XCTAssertEqual(harness.counts, [1, 1])
        XCTAssertEqual(input.receive(bytes[...]), 10)
    }

    /// A guest that sleeps until it is rung for, and a reader that sleeps until it is woken: no ring may be missed.
    func testNothingIsLostBetweenTwoThreads() {
        let (rung, woken) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let input = ExecInput(ringGuest: { rung.signal() }, wakeReader: { woken.signal() })
        let sent = SampleBzImage.pattern(count: 2_000_000)
        let reader = Thread {
            var rest = sent[...]
            var generator = SeededGenerator(seed: 1)
            while !rest.isEmpty {
                guard input.isReadyToReceive() else {
                    woken.wait()
                    continue
                }
                rest = rest.dropFirst(input.receive(rest.prefix(Int.random(in: 1...9000, using: &generator))))
            }
            input.end()
        }
        reader.start()
        var received: [UInt8] = []
        var generator = SeededGenerator(seed: 2)
        loop: while true {
            let (answer, bytes) = fetch(input, room: Int.random(in: 1...20_000, using: &generator))
            received += bytes
            switch answer {
            case .end: break loop
            case .bytes(0): XCTAssertEqual(rung.wait(timeout: .now() + 60), .success)
            case .bytes: break
            }
        }
        XCTAssertTrue(received == sent)
    }
}
