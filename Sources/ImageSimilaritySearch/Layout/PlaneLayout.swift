/// Places in the plane for the vertices of a graph of neighbours: linked ones close together, others apart.
///
/// The objective is that of LargeVis (Tang, Liu, Zhang, Mei, Visualizing Large-scale and High-dimensional Data, 2016) and UMAP
/// (McInnes, Healy, Melville, UMAP, 2018), with the kernel `1 / (1 + d²)` and links of equal weight, which changes the result
/// little (Damrich and Hamprecht, On UMAP's True Loss Function, 2021). Each link attracts, and for each link a few vertices
/// drawn at random repel. All vertices move at once in a step, on the places of the step before, and the random numbers
/// depend on vertex and step alone: the result does not depend on the number of threads.
package struct PlaneLayout: Sendable {
  /// Rounds in which each vertex moves once; by the number of vertices where nil.
  package var steps: Int?
  /// Vertices drawn for each link.
  package var repulsions = 5
  /// Where the random numbers begin: the same seed gives the same places.
  package var seed: UInt64 = 0
  package var threads = 1

  package init() {}

  /// Links of one vertex that pull it in one step: those of a vertex with more take turns.
  private static let linksPerStep = 48
  /// The first step's length; later ones are shorter in even measure.
  private static let rate: Float = 0.125
  /// What one other vertex moves a vertex at most, before ``rate``.
  private static let limit: Float = 4

  /// Moves the vertices from where they are in `places`.
  ///
  /// Throws `CancellationError` soon after its task is cancelled.
  ///
  /// - Precondition: there is a place for each vertex.
  /// - Parameter progress: is told after each step how many of all steps are done.
  /// - Complexity: O(`steps * links * repulsions`) time, O(vertices) memory.
  package func run(
    _ links: NeighborLinks, from places: [SIMD2<Float>], progress: ((Int, Int) -> Void)? = nil
  ) async throws -> [SIMD2<Float>] {
    precondition(places.count == links.count, "each of \(links.count) vertices needs a place, not \(places.count)")
    guard places.count > 1 else { return places }
    let steps = steps ?? (places.count <= 10_000 ? 500 : 200)
    var places = places
    let parts = min(threads, max(1, places.count / 500))
    for step in 0..<steps {
      try Task.checkCancellation()
      let rate = Self.rate * (1 - Float(step) / Float(steps))
      let before = places
      if parts == 1 {
        places = moved(0..<before.count, of: before, links, step: step, rate: rate)
      } else {
        places = await withTaskGroup(of: (Int, [SIMD2<Float>]).self) { group in
          for part in 0..<parts {
            let vertices = before.count * part / parts..<before.count * (part + 1) / parts
            group.addTask { (part, moved(vertices, of: before, links, step: step, rate: rate)) }
          }
          var found = [[SIMD2<Float>]](repeating: [], count: parts)
          for await (part, places) in group { found[part] = places }
          return Array(found.joined())
        }
      }
      progress?(step + 1, steps)
    }
    return places
  }

  /// Where some vertices go in a step.
  private func moved(
    _ vertices: Range<Int>, of all: [SIMD2<Float>], _ links: NeighborLinks, step: Int, rate: Float
  ) -> [SIMD2<Float>] {
    let (places, targets, count) = (all.span, links.targets.span, UInt64(all.count))
    return vertices.map { vertex in
      var random = Self.mix(seed &+ Self.mix(UInt64(step) &* count &+ UInt64(vertex)))
      let own = places[vertex]
      let neighbors = links.neighbors(of: vertex)
      var move = SIMD2<Float>.zero
      for i in 0..<min(neighbors.count, Self.linksPerStep) {
        var link = neighbors.lowerBound + i
        if neighbors.count > Self.linksPerStep {
          random = Self.mix(random &+ 0x9e37_79b9_7f4a_7c15)
          link = neighbors.lowerBound + Int(Self.index(random, UInt64(neighbors.count)))
        }
        let way = own - places[Int(targets[link])]
        let square = (way * way).sum()
        move += Self.limited(way * (-2 / (1 + square)))
        for _ in 0..<repulsions {
          random = Self.mix(random &+ 0x9e37_79b9_7f4a_7c15)
          let way = own - places[Int(Self.index(random, count))]
          let square = (way * way).sum()
          move += Self.limited(way * (2 / ((0.001 + square) * (1 + square))))
        }
      }
      return own + rate * move
    }
  }

  private static func limited(_ move: SIMD2<Float>) -> SIMD2<Float> {
    move.clamped(lowerBound: SIMD2(repeating: -limit), upperBound: SIMD2(repeating: limit))
  }

  /// A number below `count`, which random bits choose.
  private static func index(_ bits: UInt64, _ count: UInt64) -> UInt64 { bits.multipliedFullWidth(by: count).high }

  /// The finalizer of MurmurHash3: each bit of the result depends on all bits of `x`.
  private static func mix(_ x: UInt64) -> UInt64 {
    var x = x
    x = (x ^ (x >> 33)) &* 0xff51_afd7_ed55_8ccd
    x = (x ^ (x >> 33)) &* 0xc4ce_b9fe_1a85_ec53
    return x ^ (x >> 33)
  }
}
