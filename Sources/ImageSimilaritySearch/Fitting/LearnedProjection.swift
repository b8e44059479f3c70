public import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// Stub until the fit is merged.
public struct LearnedProjection: Sendable, Hashable {
  public let inputDimension: Int
  public let dimension: Int
  var matrix: [Float]
  package init(inputDimension: Int, dimension: Int, matrix: [Float]) {
    self.inputDimension = inputDimension
    self.dimension = dimension
    self.matrix = matrix
  }
  public func project(_ embeddings: EmbeddingMatrix, threads: Int = 1) -> EmbeddingMatrix {
    var values: [Float] = []
    for row in 0..<embeddings.rows {
      let x = embeddings[row]
      for i in 0..<dimension {
        var sum: Float = 0
        for j in x.indices { sum += x[j] * matrix[i * inputDimension + j] }
        values.append(sum)
      }
    }
    return EmbeddingMatrix(rows: embeddings.rows, dimension: dimension, values: values)
  }
  private struct JSON: Codable { var i: Int; var o: Int; var m: [Float] }
  public func serialized() -> Data {
    (try? JSONEncoder().encode(JSON(i: inputDimension, o: dimension, m: matrix))) ?? Data()
  }
  public init(serialized: Data, name: String) throws(SimilarityError) {
    guard let json = try? JSONDecoder().decode(JSON.self, from: serialized) else {
      throw SimilarityError(.modelCorrupt, "\(name) is damaged")
    }
    self.init(inputDimension: json.i, dimension: json.o, matrix: json.m)
  }
}
