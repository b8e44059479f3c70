internal import ImageSimilarityCore
internal import ImageSimilarityFiles
internal import ImageSimilarityNN

/// The tensors that a lowered network reads, by name. They are made from the file's when they are asked for, so that a large
/// network is not in memory twice.
struct LoweredWeights: WeightSource {
  enum Source: Sendable {
    /// As the file has it.
    case tensor(ONNXTensor)
    /// Of a matrix, columns before rows.
    case transposed(ONNXTensor)
    /// The first axis is multiplied by a factor each.
    indirect case scaled(Source, [Double])
    case values([Float])
  }

  private struct Entry {
    var shape: [Int]
    var source: Source
  }

  /// The file's name, for messages.
  let name: String
  let digest: String
  /// None that a layer has to read: what a rule records and no layer needs in the end is no mistake of the file.
  let names: [String] = []
  private var entries: [String: Entry] = [:]

  init(name: String, digest: String) {
    self.name = name
    self.digest = digest
  }

  mutating func add(_ name: String, shape: [Int], _ source: Source) {
    precondition(entries[name] == nil, "each tensor of a network has its own name")
    entries[name] = Entry(shape: shape, source: source)
  }

  func contains(_ name: String) -> Bool { entries[name] != nil }

  func shape(of name: String) -> [Int]? { entries[name]?.shape }

  func floats(_ name: String) throws(SimilarityError) -> [Float] {
    guard let entry = entries[name] else {
      throw SimilarityError(.weightsMismatch, "\(self.name) has no tensor \(quoted(name))")
    }
    return try Self.floats(entry.source)
  }

  private static func floats(_ source: Source) throws(SimilarityError) -> [Float] {
    switch source {
    case .tensor(let tensor):
      return try tensor.floats()
    case .values(let values):
      return values
    case .transposed(let matrix):
      let values = try matrix.floats()
      let (rows, columns) = (matrix.shape[0], matrix.shape[1])
      var transposed = [Float](repeating: 0, count: values.count)
      for row in 0..<rows {
        for column in 0..<columns { transposed[column * rows + row] = values[row * columns + column] }
      }
      return transposed
    case .scaled(let source, let factors):
      var values = try floats(source)
      let length = values.count / factors.count
      for (row, factor) in factors.enumerated() {
        for index in row * length..<(row + 1) * length { values[index] = Float(Double(values[index]) * factor) }
      }
      return values
    }
  }
}
