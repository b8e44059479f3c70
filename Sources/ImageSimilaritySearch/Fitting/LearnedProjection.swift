internal import CSimilarityKernels
import Dispatch
public import ImageSimilarityCore
import ImageSimilarityFiles
import Synchronization

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// A learnt map from an extractor's embeddings to shorter ones, whose cosine distances follow what the labels say.
///
/// An embedding `x` is divided by its length. One part of the result, ``imageDimension`` long, is an affine map of it, divided
/// by its own length: the embedding with the variation within classes damped. The other part, if the map was learnt from
/// labels, is `weight * p`, where `p` are probabilities of the learnt classes:
///
///     p[c] = exp(sharpness * (s[c] - threshold)) / (1 + sum over k of exp(sharpness * (s[k] - threshold)))
///
/// with affine scores `s`. Where no score reaches the threshold, as for things of a kind that nobody taught, all
/// probabilities are small and the first part decides. Many classes are mixed into fewer dimensions by a fixed matrix.
public struct LearnedProjection: Sendable, Hashable {
  /// Elements of an embedding that is projected.
  public let inputDimension: Int
  /// Elements of a projected embedding.
  public let dimension: Int
  /// Elements of the part of length 1; they come first.
  public let imageDimension: Int
  /// Number of learnt classes.
  public let classes: Int

  /// `[imageDimension + classes, inputDimension]`.
  private let matrix: [Float]
  /// `[imageDimension + classes]`.
  private let bias: [Float]
  private let mixture: ClassMixture
  /// `[classes, dimension - imageDimension]`, or empty: then each class has its dimension.
  private let codes: [Float]

  /// A map without classes: `matrix * x / |x|`, of length 1. `matrix` is `[dimension, inputDimension]`.
  package init(inputDimension: Int, dimension: Int, matrix: [Float]) {
    self.init(
      inputDimension: inputDimension, imageDimension: dimension, classes: 0, matrix: matrix,
      bias: [Float](repeating: 0, count: dimension), mixture: ClassMixture(sharpness: 1, threshold: 0, weight: 0),
      codes: [])
  }

  /// - Precondition: the sizes fit together.
  init(
    inputDimension: Int, imageDimension: Int, classes: Int, matrix: [Float], bias: [Float], mixture: ClassMixture,
    codes: [Float]
  ) {
    let rows = imageDimension + classes
    precondition(
      inputDimension > 0 && imageDimension > 0 && classes >= 0 && matrix.count == rows * inputDimension
        && bias.count == rows && (codes.isEmpty || (classes > 0 && codes.count % classes == 0)),
      "the parts of a projection do not fit together")
    self.inputDimension = inputDimension
    self.imageDimension = imageDimension
    self.classes = classes
    self.matrix = matrix
    self.bias = bias
    self.mixture = mixture
    self.codes = codes
    dimension = imageDimension + (codes.isEmpty ? classes : codes.count / classes)
  }

  /// The projected rows, `[rows, dimension]`. A row's result depends on nothing but the row: neither on the others, nor on
  /// its place, nor on `threads`.
  ///
  /// - Precondition: the embeddings have ``inputDimension`` elements.
  /// - Complexity: O(`rows * (imageDimension + classes) * inputDimension`)
  public func project(_ embeddings: EmbeddingMatrix, threads: Int = 1) -> EmbeddingMatrix {
    precondition(threads > 0, "a projection needs a thread")
    precondition(
      embeddings.dimension == inputDimension,
      "the projection was learnt from embeddings of \(inputDimension) elements, found \(embeddings.dimension)")
    let parts = min(threads, max(1, embeddings.rows / Self.rowsPerThread))
    let results = Mutex([[Float]](repeating: [], count: parts))
    DispatchQueue.concurrentPerform(iterations: parts) { part in
      let rows = embeddings.rows * part / parts..<embeddings.rows * (part + 1) / parts
      let projected = project(embeddings[rows: rows])
      results.withLock { $0[part] = projected }
    }
    return EmbeddingMatrix(
      rows: embeddings.rows, dimension: dimension, values: results.withLock { $0.flatMap { $0 } })
  }

  /// With fewer, another thread is not worth its start.
  private static let rowsPerThread = 64

  private func project(_ embeddings: EmbeddingMatrix) -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(embeddings.rows * dimension)
    var (input, affine) = ([Float](repeating: 0, count: inputDimension), [Double](repeating: 0, count: bias.count))
    for row in 0..<embeddings.rows {
      normalize(embeddings, row, into: &input)
      apply(to: input, into: &affine)
      append(affine, to: &result)
    }
    return result
  }

  /// One embedding divided by its length; zeros stay zeros.
  private func normalize(_ embeddings: EmbeddingMatrix, _ row: Int, into input: inout [Float]) {
    embeddings.withElements { elements in
      var square = 0.0
      let start = row * inputDimension
      for i in 0..<inputDimension { square += Double(elements[start + i]) * Double(elements[start + i]) }
      let factor = square > 0 ? 1 / square.squareRoot() : 0
      for i in 0..<inputDimension { input[i] = Float(Double(elements[start + i]) * factor) }
    }
  }

  /// The one door to the kernel: fp64 products, each of one row of the matrix with the input.
  private func apply(to input: [Float], into affine: inout [Double]) {
    precondition(
      input.count == inputDimension && affine.count == bias.count && matrix.count == bias.count * inputDimension,
      "the operands of a projection do not fit together")
    unsafe input.withUnsafeBufferPointer { input in
      unsafe matrix.withUnsafeBufferPointer { matrix in
        unsafe affine.withUnsafeMutableBufferPointer { affine in
          guard let x = input.baseAddress, let rows = matrix.baseAddress, let results = affine.baseAddress else {
            return
          }
          unsafe ims_search_dot(x, rows, nil, bias.count, inputDimension, results)
        }
      }
    }
    for i in bias.indices { affine[i] += Double(bias[i]) }
  }

  private func append(_ affine: [Double], to result: inout [Float]) {
    var square = 0.0
    for i in 0..<imageDimension { square += affine[i] * affine[i] }
    let factor = square > 0 ? 1 / square.squareRoot() : 0
    for i in 0..<imageDimension { result.append(Float(affine[i] * factor)) }
    if classes == 0 { return }
    let parts = mixture.parts(ofScores: affine[imageDimension...])
    if codes.isEmpty {
      for part in parts { result.append(Float(part)) }
      return
    }
    let length = dimension - imageDimension
    var mixed = [Double](repeating: 0, count: length)
    for (c, part) in parts.enumerated() {
      for i in 0..<length { mixed[i] += part * Double(codes[c * length + i]) }
    }
    for value in mixed { result.append(Float(value)) }
  }
}

/// How class scores become the second part of a projected embedding; see ``LearnedProjection``.
struct ClassMixture: Sendable, Hashable {
  var sharpness: Float
  var threshold: Float
  var weight: Float

  /// `weight * p`.
  func parts(ofScores scores: ArraySlice<Double>) -> [Double] {
    let exponents = scores.map { Double(sharpness) * ($0 - Double(threshold)) }
    // The exponent of no class at all is 0.
    let largest = exponents.reduce(0, max)
    let terms = exponents.map { exp($0 - largest) }
    let factor = Double(weight) / terms.reduce(exp(-largest), +)
    return terms.map { $0 * factor }
  }
}

extension LearnedProjection {
  private enum Name {
    static let matrix = "matrix"
    static let bias = "bias"
    static let codes = "class_codes"
    static let mixture = "class_mixture"
    static let format = "format"
    static let version = "imsim-projection-1"
    static let imageDimension = "image_dimension"
  }

  /// The projection as a file in the safetensors format: the same projection gives the same bytes.
  ///
  /// Tensors, all F32: `matrix` `[image_dimension + classes, inputDimension]`, `bias` `[image_dimension + classes]`,
  /// `class_mixture` `[sharpness, threshold, weight]`, and, with many classes, `class_codes`
  /// `[classes, dimension - image_dimension]`. The metadata say `image_dimension`.
  public func serialized() -> Data {
    var writer = SafetensorsWriter(metadata: [
      Name.format: Name.version, Name.imageDimension: String(imageDimension),
    ])
    writer.add(Name.matrix, shape: [bias.count, inputDimension], floats: matrix)
    writer.add(Name.bias, shape: [bias.count], floats: bias)
    writer.add(Name.mixture, shape: [3], floats: [mixture.sharpness, mixture.threshold, mixture.weight])
    if !codes.isEmpty { writer.add(Name.codes, shape: [classes, dimension - imageDimension], floats: codes) }
    return writer.data()
  }

  /// Reads what ``serialized()`` wrote.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelCorrupt`` where the bytes are anything else.
  ///
  /// - Parameter name: what messages call the bytes.
  public init(serialized data: Data, name: String) throws(SimilarityError) {
    // The file copies what it is asked for, and does not outlive this call.
    let bytes = Array(data)
    let tensors: Tensors
    do {
      tensors = try unsafe bytes.withUnsafeBytes { bytes in
        unsafe try Tensors(SafetensorsFile(MappedFile(bytes: bytes, name: name), errorCode: .modelCorrupt))
      }
    } catch let error as SimilarityError {
      throw error
    } catch {
      preconditionFailure("reading memory threw \(error)")
    }
    func damaged(_ problem: String) -> SimilarityError {
      SimilarityError(.modelCorrupt, "\(name) is no projection: \(problem)")
    }
    guard tensors.format == Name.version else {
      throw damaged("expected the format \(Name.version), found \(tensors.format ?? "none")")
    }
    let (matrix, bias, mixture, codes) = (tensors.matrix, tensors.bias, tensors.mixture, tensors.codes)
    guard let matrix, matrix.shape.count == 2, matrix.shape[1] > 0, let bias, bias.shape == [matrix.shape[0]],
      let mixture, mixture.shape == [3],
      let imageDimension = tensors.imageDimension, imageDimension > 0, imageDimension <= matrix.shape[0]
    else {
      throw damaged("its tensors are missing or of wrong shapes")
    }
    let classes = matrix.shape[0] - imageDimension
    if let codes {
      guard classes > 0, codes.shape.count == 2, codes.shape[0] == classes, codes.shape[1] > 0 else {
        throw damaged("its class codes have the shape \(codes.shape), expected [\(classes), any number but 0]")
      }
    }
    guard (matrix.floats + bias.floats + mixture.floats + (codes?.floats ?? [])).allSatisfy(\.isFinite) else {
      throw damaged("an element is NaN or infinite")
    }
    self.init(
      inputDimension: matrix.shape[1], imageDimension: imageDimension, classes: classes, matrix: matrix.floats,
      bias: bias.floats,
      mixture: ClassMixture(
        sharpness: mixture.floats[0], threshold: mixture.floats[1], weight: mixture.floats[2]),
      codes: codes?.floats ?? [])
  }

  /// Copies of what a file says.
  private struct Tensors {
    var format: String?
    var imageDimension: Int?
    var matrix, bias, mixture, codes: (shape: [Int], floats: [Float])?

    init(_ file: SafetensorsFile) throws(SimilarityError) {
      func copy(_ name: String) throws(SimilarityError) -> (shape: [Int], floats: [Float])? {
        guard let tensor = file[name] else { return nil }
        return (tensor.shape, try file.floats(tensor))
      }
      format = file.metadata[Name.format]
      imageDimension = file.metadata[Name.imageDimension].flatMap { Int($0) }
      matrix = try copy(Name.matrix)
      bias = try copy(Name.bias)
      mixture = try copy(Name.mixture)
      codes = try copy(Name.codes)
    }
  }
}
