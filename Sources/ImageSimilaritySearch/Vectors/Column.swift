/// Elements of one type, side by side, in an array or in memory that somebody else keeps alive (a mapped file). Immutable; a
/// copy shares the memory.
///
/// `@unchecked Sendable`: the memory is never written after init, and `owner`, which is Sendable, keeps it alive.
@safe package struct Column<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
  package let elements: UnsafeBufferPointer<Element>
  private let owner: any Sendable

  package init(_ elements: [Element]) {
    let memory = ColumnMemory<Element>(count: elements.count)
    unsafe elements.withUnsafeBufferPointer { elements in
      guard let from = elements.baseAddress else { return }
      unsafe memory.start.update(from: from, count: elements.count)
    }
    self.init(memory)
  }

  /// What has been written to `memory`; nobody writes to it any more.
  package init(_ memory: ColumnMemory<Element>) {
    unsafe elements = UnsafeBufferPointer(start: memory.start, count: memory.count)
    owner = memory
  }

  /// Memory that `owner` keeps alive and that nobody changes, aligned to `Element`.
  @unsafe package init(elements: UnsafeBufferPointer<Element>, owner: any Sendable) {
    unsafe self.elements = elements
    self.owner = owner
  }

  package var count: Int { unsafe elements.count }

  /// The first element. It is valid as long as a copy of the column lives.
  @unsafe package var start: UnsafePointer<Element> {
    unsafe elements.baseAddress ?? UnsafePointer(bitPattern: MemoryLayout<Element>.alignment)!
  }

  package subscript(index: Int) -> Element {
    precondition(index >= 0 && index < count, "element \(index) of a column of \(count)")
    return unsafe elements[index]
  }

  /// Calls `body` with all elements.
  package func withElements<R, E: Error>(_ body: (Span<Element>) throws(E) -> R) throws(E) -> R {
    defer { withExtendedLifetime(owner) {} }
    return try unsafe body(elements.span)
  }
}

/// What becomes a column: elements that are 0 until they are written.
///
/// `@unchecked Sendable`: whoever makes it writes to it before anybody else knows it.
@safe package final class ColumnMemory<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
  package let start: UnsafeMutablePointer<Element>
  package let count: Int

  package init(count: Int) {
    let bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(1, count) * MemoryLayout<Element>.stride, alignment: 64)
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
    unsafe start = bytes.bindMemory(to: Element.self).baseAddress!
    self.count = count
  }

  deinit { unsafe start.deallocate() }
}
