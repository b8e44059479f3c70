/// Embeddings as the rows of an immutable matrix: `[rows, dimension]`, row-major fp32.
///
/// A copy shares its storage, which is an array or memory that somebody else keeps alive (a mapped file).
public struct EmbeddingMatrix: Sendable {
  public let rows: Int
  public let dimension: Int
  private let storage: Storage

  /// - Precondition: `values.count == rows * dimension`.
  public init(rows: Int, dimension: Int, values: [Float]) {
    precondition(
      rows >= 0 && dimension > 0 && values.count == rows * dimension,
      "a matrix of \(rows) x \(dimension) does not have \(values.count) elements")
    self.rows = rows
    self.dimension = dimension
    self.storage = Storage(values)
  }

  /// One row a vector.
  ///
  /// - Precondition: there is at least one vector, and all have the same length.
  public init(_ vectors: [[Float]]) {
    precondition(!vectors.isEmpty, "a matrix of no vectors has no dimension")
    let dimension = vectors[0].count
    precondition(vectors.allSatisfy { $0.count == dimension }, "the rows of a matrix have one length")
    self.init(rows: vectors.count, dimension: dimension, values: vectors.flatMap { $0 })
  }

  /// A matrix over memory that `owner` keeps alive and that nobody changes.
  ///
  /// - Precondition: `elements.count == rows * dimension`.
  @unsafe public init(rows: Int, dimension: Int, elements: UnsafeBufferPointer<Float>, owner: any Sendable) {
    precondition(
      rows >= 0 && dimension > 0 && elements.count == rows * dimension,
      "a matrix of \(rows) x \(dimension) does not have \(elements.count) elements")
    self.rows = rows
    self.dimension = dimension
    self.storage = unsafe Storage(elements, owner: owner)
  }

  /// Calls `body` with all elements, row after row.
  public func withElements<R, E: Error>(_ body: (Span<Float>) throws(E) -> R) throws(E) -> R {
    try withExtendedLifetime(storage) { storage throws(E) in
      let elements = unsafe storage.elements
      return try unsafe body(elements.span)
    }
  }

  /// A copy of one row.
  ///
  /// - Complexity: O(`dimension`)
  public subscript(row: Int) -> [Float] {
    precondition(row >= 0 && row < rows, "row \(row) of a matrix of \(rows) rows")
    return unsafe Array(storage.elements[row * dimension..<(row + 1) * dimension])
  }

  /// Neighbouring rows as a matrix of their own, which shares the storage.
  ///
  /// - Complexity: O(1)
  public subscript(rows range: Range<Int>) -> EmbeddingMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of a matrix of \(rows) rows")
    let elements = unsafe storage.elements
    return unsafe EmbeddingMatrix(
      rows: range.count, dimension: dimension,
      elements: UnsafeBufferPointer(rebasing: elements[range.lowerBound * dimension..<range.upperBound * dimension]),
      owner: storage)
  }

  /// The row of the first element that is NaN or infinite, if there is one.
  ///
  /// - Complexity: O(`rows * dimension`)
  public func firstNonFiniteRow() -> Int? {
    withElements { elements in
      for i in elements.indices where !elements[i].isFinite { return i / dimension }
      return nil
    }
  }

  /// Immutable after init: the one door to the elements.
  ///
  /// `@unchecked Sendable`: the memory is never written after init, and `owner`, which is Sendable, keeps it alive.
  @safe private final class Storage: @unchecked Sendable {
    let elements: UnsafeBufferPointer<Float>
    private let owner: (any Sendable)?

    init(_ values: [Float]) {
      let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: values.count)
      _ = unsafe copy.initialize(fromContentsOf: values)
      unsafe elements = UnsafeBufferPointer(copy)
      owner = nil
    }

    init(_ elements: UnsafeBufferPointer<Float>, owner: any Sendable) {
      unsafe self.elements = elements
      self.owner = owner
    }

    deinit {
      if owner == nil { unsafe elements.deallocate() }
    }
  }
}
