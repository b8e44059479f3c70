extension NetworkBuilder {
  /// What the memory of values looks like: with or without gaps.
  ///
  /// A value that windows reach over needs a border of pixels, one that is part of a concatenation lies between its neighbours,
  /// and both have gaps; a value whose axes are merged with each other must not have any. Whichever comes first holds.
  package struct ValueStorage: Sendable {
    /// Values without gaps: element (y, x, c) lies at `(y * width + x) * channels + c`.
    package private(set) var dense: Set<Value> = []
    private var withGaps: Set<Value> = []

    mutating func needBorder(_ value: Value) {
      precondition(!dense.contains(value), "a value without gaps has no border")
      withGaps.insert(value)
    }

    /// Values that are parts of a concatenation, or its result.
    mutating func share(_ values: [Value]) {
      precondition(dense.isDisjoint(with: values), "a value without gaps is no part of a concatenation")
      withGaps.formUnion(values)
    }

    /// Returns whether the value has no gaps from now on.
    mutating func makeDense(_ value: Value) -> Bool {
      guard !withGaps.contains(value) else { return false }
      dense.insert(value)
      return true
    }
  }
}
