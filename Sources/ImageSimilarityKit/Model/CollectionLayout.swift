internal import ImageSimilarityCore
internal import ImageSimilaritySearch

/// A model's pictures in the plane: those that look alike are near each other.
public struct CollectionLayout: Sendable, Hashable {
  /// In ascending order of their ids.
  public var points: [Point]
  /// How many clusters there are.
  public var clusters: Int

  public struct Point: Sendable, Hashable, Codable {
    public var id: String
    /// The picture's label, or else the name of the folder that it lies in; nil where there is neither.
    public var label: String?
    public var x: Float
    public var y: Float
    /// Which group of pictures with many neighbours in common it belongs to: 0 for the largest.
    public var cluster: Int
  }
}

extension SimilarityModel {
  /// Places for all pictures in the plane, from who is whose nearest neighbour: like LargeVis and UMAP, each picture is drawn to
  /// its neighbours and away from others (Tang et al., Visualizing Large-scale and High-dimensional Data, 2016; McInnes et al.,
  /// UMAP, 2018), from the plane of the two principal components on. Clusters are the graph's communities (Blondel et al., Fast
  /// unfolding of communities in large networks, 2008).
  ///
  /// Who is near whom means something; distances and directions on the map at large mean little.
  ///
  /// - Parameters:
  ///   - neighbors: Of a picture, in the graph. More of them show more of the whole, and less of the parts.
  ///   - seed: Where the random numbers begin: the same seed gives the same map, with any number of threads.
  ///   - progress: Told now and then which part of the work is done, from 0 to 1.
  /// - Complexity: O(images² * dimension) time for the graph, O(images * neighbors) for the rest; O(images * neighbors) memory.
  public func layout(
    neighbors: Int = 15, seed: UInt64 = 0, progress: ((Double) -> Void)? = nil
  ) async throws -> CollectionLayout {
    let rows = try orderedRows()
    guard rows.count > 0 else { return CollectionLayout(points: [], clusters: 0) }
    var records: [ImageRecord] = []
    records.reserveCapacity(rows.count)
    for part in rows.parts { records += try rows.records(part) }
    let numbers = Dictionary(uniqueKeysWithValues: records.enumerated().map { ($1.id, Int32($0)) })
    var nearest = [[Int32]](repeating: [], count: rows.count)
    var done = 0
    try await similarityGraph(k: neighbors) { edges in
      for edge in edges {
        // What came or went since the rows were counted is not on the map.
        guard let source = numbers[edge.source], let target = numbers[edge.target] else { continue }
        nearest[Int(source)].append(target)
        if edge.rank == 1 { done += 1 }
      }
      progress?(0.6 * Double(done) / Double(rows.count))
    }
    let links = NeighborLinks(nearest: nearest)
    let clusters = Communities.find(in: links)
    var layout = PlaneLayout()
    layout.seed = seed
    layout.threads = threads
    let places = try await layout.run(links, from: try principalPlaces(rows)) { step, steps in
      progress?(0.6 + 0.4 * Double(step) / Double(steps))
    }
    return CollectionLayout(
      points: zip(records, zip(places, clusters)).map { record, found in
        CollectionLayout.Point(
          id: record.id, label: record.classLabel, x: found.0.x, y: found.0.y, cluster: found.1)
      }, clusters: (clusters.max() ?? -1) + 1)
  }

  /// The rows in the plane of their principal components, with a standard deviation of 1 along the first.
  private func principalPlaces(_ rows: OrderedRows) throws -> [SIMD2<Float>] {
    let size = min(rows.count, Self.principalSample)
    var sample: [[Float]] = []
    sample.reserveCapacity(size)
    for i in 0..<size {
      let row = rows.count * i / size
      sample.append(try rows.embeddings(row..<row + 1)[0])
    }
    let plane = PrincipalPlane(of: EmbeddingMatrix(sample), normalizes: metric == .cosine)
    var places: [SIMD2<Float>] = []
    places.reserveCapacity(rows.count)
    for part in rows.parts {
      try Task.checkCancellation()
      let embeddings = try rows.embeddings(part)
      for row in 0..<embeddings.rows { places.append(plane.place(embeddings[row])) }
    }
    let variance = places.reduce(0) { $0 + Double($1.x) * Double($1.x) } / Double(places.count)
    let scale = variance > 0 && variance.isFinite ? Float(1 / variance.squareRoot()) : 1
    // Equal pictures begin apart, or nothing but chance could part them.
    return places.enumerated().map { i, place in
      place * scale + SIMD2(Float(i % 101) - 50, Float(i % 103) - 51) * 1e-5
    }
  }

  /// Rows that the principal components are those of.
  private static let principalSample = 4096
}

extension ImageRecord {
  /// The label, or else the name of the folder that holds the picture.
  fileprivate var classLabel: String? {
    if let label { return label }
    let components = (path ?? id).split(separator: "/")
    return components.count > 1 ? String(components[components.count - 2]) : nil
  }
}
