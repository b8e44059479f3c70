internal import ImageSimilarityCore
internal import ImageSimilaritySearch
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// The pictures that a search for duplicates looks at, by ascending id, and what it has found out about them.
///
/// Of each picture, some 4 KiB are kept.
struct ComparedPictures: Sendable {
  struct Picture: Sendable {
    var id: String
    var path: String
    var bytes: Int64
    /// The file's identity, so that one file under two ids is not a duplicate of itself.
    var modified: Int64?
    /// Small and grey; nil where the file has the bytes of another picture, or cannot be read.
    var small: GreyPicture?
  }

  var pictures: [Picture]
  /// Numbers of pictures whose files have the same bytes, two or more, ascending.
  var copies: [[Int]] = []
  /// Numbers of the pictures to compare: of copies, the first alone.
  var distinct: [Int] = []
  var unreadable: [SkippedImage] = []
  /// Of ``distinct``; nil for pictures of one colour.
  var invariants: [[Float]?] = []

  let decoder: VipsImageDecoder

  init(_ records: [ImageRecord], decoder: VipsImageDecoder) {
    self.decoder = decoder
    pictures = []
    for record in records {
      guard let path = record.path else {
        unreadable.append(
          SkippedImage(
            id: record.id, code: SimilarityError.Code.imageUnreadable.rawValue, reason: "it was not indexed from a file"))
        continue
      }
      do throws(SimilarityError) {
        let size = try Self.fileSize(path)
        pictures.append(Picture(id: record.id, path: path, bytes: size, modified: record.modified))
      } catch {
        unreadable.append(
          SkippedImage(id: record.id, path: path, code: error.code.rawValue, reason: error.message))
      }
    }
  }

  private static func fileSize(_ path: String) throws(SimilarityError) -> Int64 {
    do {
      let attributes = try FileManager.default.attributesOfItem(
        atPath: URL(fileURLWithPath: path).resolvingSymlinksInPath().path)
      guard attributes[.type] as? FileAttributeType == .typeRegular, let size = attributes[.size] as? any BinaryInteger
      else { throw SimilarityError(.imageUnreadable, "\(path) is not a file") }
      return Int64(size)
    } catch let error as SimilarityError {
      throw error
    } catch {
      throw SimilarityError(.imageUnreadable, "\(path) cannot be read; was it moved?")
    }
  }

  /// Finds files with the same bytes: those of one size are read.
  mutating func findCopies(pool: WorkerPool) async throws {
    var bySize: [Int64: [Int]] = [:]
    for (number, picture) in pictures.enumerated() where picture.bytes > 0 {
      bySize[picture.bytes, default: []].append(number)
    }
    let suspects = bySize.values.filter { $0.count > 1 }.flatMap(\.self).sorted()
    let paths = suspects.map { pictures[$0].path }
    var digests = [String?](repeating: nil, count: suspects.count)
    try await parallelPass(count: suspects.count, rangeLength: 16, pool: pool) { range in
      range.map { number in
        (try? MappedFile(contentsOf: URL(fileURLWithPath: paths[number]))).map { SHA256.hexDigest(of: $0) }
      }
    } _: { range, found in
      digests.replaceSubrange(range, with: found)
    }
    var byDigest: [String: [Int]] = [:]
    for (number, digest) in zip(suspects, digests) {
      if let digest { byDigest[digest, default: []].append(number) }
    }
    copies = byDigest.values.filter { $0.count > 1 }.sorted { $0[0] < $1[0] }
    let repeated = Set(copies.flatMap { $0.dropFirst() })
    distinct = pictures.indices.filter { !repeated.contains($0) }
  }

  /// Decodes the distinct pictures.
  mutating func decode(pool: WorkerPool, progress: (Int) -> Void) async throws {
    let decoder = decoder
    let paths = distinct.map { pictures[$0].path }
    let transform = FrameInvariants()
    var found = [Result<(GreyPicture, [Float]?), SimilarityError>?](repeating: nil, count: distinct.count)
    var done = 0
    try await parallelPass(count: paths.count, rangeLength: 16, pool: pool) { range in
      range.map { number in
        Result { () throws(SimilarityError) in
          let image = try decoder.decode(
            .file(URL(fileURLWithPath: paths[number])), maximumSide: AlignablePicture.side)
          let small = GreyPicture(luminanceOf: image)
          return (small, transform.vector(of: small.resized(width: 32, height: 32)))
        }
      }
    } _: { range, results in
      for (number, result) in zip(range, results) { found[number] = result }
      done += range.count
      progress(done)
    }
    var readable: [Int] = []
    for (number, result) in zip(distinct, found) {
      switch result {
      case .success(let (small, vector))?:
        pictures[number].small = small
        readable.append(number)
        invariants.append(vector)
      case .failure(let error)?:
        unreadable.append(
          SkippedImage(
            id: pictures[number].id, path: pictures[number].path, code: error.code.rawValue, reason: error.message))
      case nil: preconditionFailure("a picture was passed over")
      }
    }
    distinct = readable
  }

  func alignable(_ number: Int) -> AlignablePicture {
    guard let small = pictures[number].small else { preconditionFailure("picture \(number) was not decoded") }
    return AlignablePicture(small)
  }
}

extension GreyPicture {
  /// The luma of ITU-R BT.601.
  init(luminanceOf image: RGBImage) {
    var luma = [UInt8](repeating: 0, count: image.size.area)
    for i in luma.indices {
      let (red, green, blue) = (Int(image.pixels[3 * i]), Int(image.pixels[3 * i + 1]), Int(image.pixels[3 * i + 2]))
      luma[i] = UInt8((red * 299 + green * 587 + blue * 114 + 500) / 1000)
    }
    self.init(width: image.size.width, height: image.size.height, pixels: luma)
  }
}
