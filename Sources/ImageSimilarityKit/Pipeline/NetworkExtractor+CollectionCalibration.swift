public import ImageSimilarityCore
public import ImageSimilarityNN
public import ImageSimilarityVips

extension NetworkExtractor {
  /// Measures the ranges of the activations on pictures of a collection, for an extractor of the same network in
  /// ``Precision/int8``.
  ///
  /// Of the whole collection, `limit` pictures at even distances are taken, the same ones every time; those that cannot be
  /// read are left out. An asynchronous sequence is read to its end.
  ///
  /// - Throws: ``SimilarityError/Code/invalidArgument`` where no picture can be read, or the extractor is not in
  ///   ``Precision/fp32``.
  /// - Precondition: `limit` is at least 1.
  /// - Complexity: O(`limit`) memory
  public func calibration(
    on collection: ImageCollection, decoder: any ImageDecoder = VipsImageDecoder(), pictures limit: Int = 128
  ) async throws -> Calibration {
    precondition(limit >= 1, "a calibration needs at least one picture")
    let items = try await collection.spread(limit)
    let geometry = specification.input
    return try await withTaskExecutorPreference(WorkerPool(width: 1)) {
      var batch = ImageBatch(capacity: limit, size: geometry.size)
      var firstProblem: SimilarityError?
      for item in items {
        try Task.checkCancellation()
        do throws(SimilarityError) {
          try batch.append { pixels throws(SimilarityError) in
            try decoder.decode(item.source, as: geometry, into: &pixels)
          }
        } catch {
          firstProblem = firstProblem ?? error
        }
      }
      guard batch.count > 0 else {
        throw SimilarityError(
          .invalidArgument,
          "none of \(items.count) pictures to calibrate on can be read" + (firstProblem.map { ": \($0.message)" } ?? "")
        )
      }
      return try self.calibration(on: batch)
    }
  }
}

extension ImageCollection {
  /// At most `limit` pictures, from the beginning to the end at even distances.
  ///
  /// - Complexity: O(`limit`) memory
  package func spread(_ limit: Int) async throws -> [ImageItem] {
    let pass = try makePass()
    // Every `step`-th picture so far: whenever there are twice as many as wanted, every other one goes.
    var items: [ImageItem] = []
    var (step, position) = (1, 0)
    while let element = try await pass.next() {
      guard case .picture(let item) = element else { continue }
      if position % step == 0 { items.append(item) }
      position += 1
      if items.count == 2 * limit {
        items = stride(from: 0, to: items.count, by: 2).map { items[$0] }
        step *= 2
      }
    }
    let count = min(limit, items.count)
    return (0..<count).map { items[$0 * items.count / count] }
  }
}
