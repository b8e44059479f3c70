import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

@Suite struct LayoutTests {
  /// Vectors around some centres, seeded.
  private func blobs(_ count: Int, of size: Int, dimension: Int = 12) -> [[Float]] {
    var state: UInt64 = 7
    func next() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) / Float(1 << 24) - 0.5
    }
    return (0..<count).flatMap { _ in
      let center = (0..<dimension).map { _ in 4 * next() }
      return (0..<size).map { _ in center.map { $0 + next() } }
    }
  }

  private func nearest(_ vectors: [[Float]], k: Int) -> [[Int32]] {
    vectors.indices.map { i in
      let squares = vectors.map { zip($0, vectors[i]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }
      return vectors.indices.filter { $0 != i }.sorted { (squares[$0], $0) < (squares[$1], $1) }.prefix(k).map(
        Int32.init)
    }
  }

  /// How many of the nearest are among the nearest in the plane, from 0 to 1.
  private func preserved(_ vectors: [[Float]], _ places: [SIMD2<Float>], k: Int) -> Double {
    let (before, after) = (nearest(vectors, k: k), nearest(places.map { [$0.x, $0.y] }, k: k))
    let kept = zip(before, after).reduce(0) { $0 + Set($1.0).intersection($1.1).count }
    return Double(kept) / Double(k * vectors.count)
  }

  @Test func linksGoBothWays() {
    let links = NeighborLinks(nearest: [[1, 2], [0], [0], [2, 3], []])
    #expect(links.count == 5)
    let neighbors = (0..<5).map { links.targets[links.neighbors(of: $0)].map(Int.init) }
    #expect(neighbors == [[1, 2], [0], [0, 3], [2], []])
  }

  @Test func keepsNeighborsBetterThanThePrincipalPlane() async throws {
    let vectors = blobs(12, of: 40)
    let plane = PrincipalPlane(of: EmbeddingMatrix(vectors), normalizes: false)
    let flat = vectors.map(plane.place)
    let links = NeighborLinks(nearest: nearest(vectors, k: 15))
    var layout = PlaneLayout()
    let places = try await layout.run(links, from: flat)
    #expect(places.allSatisfy { $0.x.isFinite && $0.y.isFinite })
    let (kept, keptFlat) = (preserved(vectors, places, k: 15), preserved(vectors, flat, k: 15))
    #expect(kept > 0.45 && kept > keptFlat + 0.15, "\(kept) against \(keptFlat)")
    // Nearest in the plane are of the same blob.
    let same = nearest(places.map { [$0.x, $0.y] }, k: 1).enumerated().filter { Int($1[0]) / 40 == $0 / 40 }.count
    #expect(same > 470)
    layout.threads = 3
    layout.steps = 20
    let three = try await layout.run(links, from: flat)
    layout.threads = 1
    #expect(try await layout.run(links, from: flat) == three)
    layout.seed = 1
    #expect(try await layout.run(links, from: flat) != three)
  }

  @Test func findsThePrincipalPlane() {
    // Widest along the third axis, then along the first; moved away from the origin.
    var vectors: [[Float]] = []
    for a in -10...10 {
      for b in -3...3 { vectors.append([Float(b) * 2 + 5, 7, Float(a) * 3 - 2, Float((a + b) % 2) * 0.1]) }
    }
    let plane = PrincipalPlane(of: EmbeddingMatrix(vectors), normalizes: false)
    for vector in vectors {
      let place = plane.place(vector)
      #expect(abs(abs(place.x) - abs(vector[2] + 2)) < 0.1 && abs(abs(place.y) - abs(vector[0] - 5)) < 0.1)
    }
    let line = PrincipalPlane(of: EmbeddingMatrix([[1, 0], [2, 0], [3, 0]]), normalizes: false)
    #expect(line.place([4, 0]).y == 0 && abs(line.place([4, 0]).x) == 2)
    let directions = PrincipalPlane(
      of: EmbeddingMatrix([[1, 1, 0], [5, 5, 0], [0, 0, 0], [1, 0, 2]]), normalizes: true)
    let (short, long) = (directions.place([1, 2, 3]), directions.place([10, 20, 30]))
    #expect(abs(short.x - long.x) < 1e-5 && abs(short.y - long.y) < 1e-5)
  }

  @Test func findsCommunities() {
    // A ring of five complete graphs of 6 to 10 vertices, and a vertex alone.
    var nearest: [[Int32]] = []
    var expected: [Int] = []
    for size in 6...10 {
      let start = nearest.count
      for i in 0..<size { nearest.append((0..<size).filter { $0 != i }.map { Int32(start + $0) }) }
      expected += Array(repeating: 10 - size, count: size)
    }
    let starts = [0, 6, 13, 21, 30]
    for (i, start) in starts.enumerated() { nearest[start].append(Int32(starts[(i + 1) % 5] + 1)) }
    nearest.append([])
    let links = NeighborLinks(nearest: nearest)
    #expect(Communities.find(in: links) == expected + [5])
    #expect(Communities.find(in: NeighborLinks(nearest: [])) == [])
  }

  @Test func communitiesAreTheBlobs() {
    let groups = Communities.find(in: NeighborLinks(nearest: nearest(blobs(12, of: 40), k: 15)))
    for blob in 0..<12 { #expect(Set(groups[blob * 40..<blob * 40 + 40]).count == 1) }
  }

  @Test func stopsWhenCancelled() async throws {
    let links = NeighborLinks(nearest: [[1], [0]])
    let task = Task {
      var layout = PlaneLayout()
      layout.steps = 1 << 40
      return try await layout.run(links, from: [.zero, .one])
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }
}
