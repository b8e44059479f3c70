public import ImageSimilarityCore
internal import ImageSimilarityNN
internal import ImageSimilaritySearch
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension SimilarityModel {
  /// The pictures that a crop comes from, or seems to, and the places in them: the most similar first.
  ///
  /// For crops of a tenth of the picture or more, of the picture's own orientation and with their aspect ratio kept; scaling
  /// and recompression do not matter. Nothing is stored for it: the pictures nearest to the crop as a whole are read from their
  /// files again and their convolutional maps are searched, first at the network's input size, and the best of them at twice
  /// that. A picture whose file is gone is passed over.
  ///
  /// - Parameters:
  ///   - k: At most so many hits, at least 1.
  ///   - options: How many pictures are looked at.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where `k` is not at least 1, or where the model's
  ///   extractor has no convolutional maps; what reading the crop throws; and where none of the pictures can be read, what
  ///   reading the first throws.
  /// - Complexity: O(images * dimension), and the network's time for `shortlist + 4 * finalists` pictures.
  public func locate(
    crop: ImageSource, k: Int = 5, options: LocateOptions = LocateOptions()
  ) async throws -> [RegionHit] {
    guard k >= 1 else {
      throw SimilarityError(.invalidArgument, "k is the number of hits wanted, at least 1; found \(k)")
    }
    let sizes = RegionInputSizes(try mappingNetwork())
    let finalists = max(options.finalists, k)
    let nearest = try await query(.image(crop), k: max(options.shortlist, finalists)).map(\.record)
    var found: [RegionHit]
    if let coarse = sizes.coarse, nearest.count > finalists {
      found = try await search(nearest, for: crop, at: coarse, scales: sizes.coarseScales)
      found = try await search(
        found.prefix(finalists).map(\.record), for: crop, at: sizes.fine, scales: sizes.fineScales)
    } else {
      found = try await search(nearest, for: crop, at: sizes.fine, scales: sizes.fineScales)
    }
    return found.prefix(k).enumerated().map { position, hit in
      var hit = hit
      hit.rank = position + 1
      return hit
    }
  }

  /// The best window of each picture that can be read, the best pictures first; ranks are not set.
  private func search(
    _ records: [ImageRecord], for crop: ImageSource, at inputSize: PixelSize, scales: [PixelSize]
  ) async throws -> [RegionHit] {
    guard !records.isEmpty else { return [] }
    let network = try mappingNetwork()
    let mapper = try mapper(network, inputSize: inputSize)
    let scaleMappers = try scales.map { try self.mapper(network, inputSize: $0) }
    let pool = WorkerPool(width: threads)
    return try await withThrowingTaskGroup(of: ([RegionHit], SimilarityError?).self) { group in
      let size = try VipsImageDecoder().size(of: crop)
      let template = CropTemplate(
        try scaleMappers.map { try $0.map(crop, size: size, using: $0.network.makeWorkspace()) },
        pixelsPerCell: mapper.pixelsPerCell)
      let workers = min(threads, records.count)
      for worker in 0..<workers {
        group.addTask(executorPreference: pool) {
          let workspace = mapper.network.makeWorkspace()
          var hits: [RegionHit] = []
          var problem: SimilarityError?
          for index in stride(from: worker, to: records.count, by: workers) {
            try Task.checkCancellation()
            do throws(SimilarityError) {
              hits.append(try Self.best(of: records[index], template, mapper, workspace))
            } catch {
              problem = problem ?? error
            }
          }
          return (hits, problem)
        }
      }
      var hits: [RegionHit] = []
      var problem: SimilarityError?
      for try await (found, failure) in group {
        hits += found
        problem = problem ?? failure
      }
      if hits.isEmpty, let problem { throw problem }
      return hits.sorted { $0.similarity != $1.similarity ? $0.similarity > $1.similarity : $0.id < $1.id }
    }
  }

  private static func best(
    of record: ImageRecord, _ template: CropTemplate, _ mapper: PictureMapper, _ workspace: NetworkWorkspace
  ) throws(SimilarityError) -> RegionHit {
    let source = try record.source
    let size = try VipsImageDecoder().size(of: source)
    let picture = try mapper.map(source, size: size, using: workspace)
    let window = WindowSearch(picture, template: template, pixelsPerCell: mapper.pixelsPerCell).best()
    return RegionHit(
      rank: 0, id: record.id, similarity: window.score,
      region: window.rectangle.relative(to: picture.frame).pixels(of: size),
      size: size, record: record)
  }
}

extension ImageRecord {
  /// The picture's file.
  var source: ImageSource {
    get throws(SimilarityError) {
      guard let path else {
        throw SimilarityError(
          .imageUnreadable, "the picture '\(id)' was not indexed from a file, so it cannot be read again")
      }
      return .file(URL(fileURLWithPath: path))
    }
  }
}

/// The input sizes at which pictures and the crop are looked at.
///
/// A crop fills the input, and in the picture it does not: at twice the network's own size, a crop of a quarter of the area is
/// as large as it is by itself at the own size, and smaller ones nearly so.
struct RegionInputSizes {
  /// nil where the network takes one size alone.
  var coarse: PixelSize?
  var coarseScales: [PixelSize]
  var fine: PixelSize
  var fineScales: [PixelSize]

  init(_ network: NetworkExtractor) {
    let own = network.specification.input.size
    guard network.takesAnySize else {
      (coarse, coarseScales, fine, fineScales) = (nil, [], own, [own])
      return
    }
    func times(_ factor: Double) -> PixelSize {
      func side(_ own: Int) -> Int { min(max(64, Int((Double(own) * factor / 32).rounded()) * 32), 2048) }
      return PixelSize(width: side(own.width), height: side(own.height))
    }
    coarse = own
    coarseScales = [times(0.5), times(0.7), own]
    fine = times(2)
    fineScales = [own, times(1.42), fine]
  }
}
