/// Says whether two pictures show the same photograph, by laying one over the other.
///
/// The whole of one over the whole of the other in eight turns, then, where wanted, each over a part of the other. Where they
/// lie best they are compared block by block: copies agree in nearly all blocks, whatever was done to the light; other
/// pictures of the same things do not. A watermark spoils some blocks, and leaves the median as it is.
struct PictureComparison: Sendable {
  /// How much a rule asks of two pictures.
  private struct Rule {
    var correlation: Double
    var quarter: Float
    var median: Float
    var blocks: Int
  }

  // Chosen on edited copies of the Caltech pictures; see Benchmarks/Peers/duplicates.
  private static let wholeRule = Rule(correlation: 0.9, quarter: 0.65, median: 0.96, blocks: 12)
  /// Stricter: there are many places to choose from.
  private static let partRule = Rule(correlation: 0.967, quarter: 0.9, median: 0.955, blocks: 12)
  /// What a coarse comparison must reach before a finer one is worth while.
  private static let coarseWhole = 0.8
  private static let coarsePart = 0.75

  /// - Parameter seeksParts: Whether one may be a part of the other.
  static func compare(
    _ first: AlignablePicture, _ second: AlignablePicture, seeksParts: Bool
  ) -> PictureAlignment? {
    let (turn, coarse) = first.bestTurn(of: second)
    if coarse >= coarseWhole, let found = refined(first, second, turn, .whole, wholeRule, firstIsInner: false) {
      return found
    }
    guard seeksParts else { return nil }
    for turn in [PictureTurn.none, .mirrored] {
      let candidates = [
        (outer: first, inner: second, firstIsInner: false), (outer: second, inner: first, firstIsInner: true),
      ].map { pair in
        let place = pair.outer.bestFrame(of: pair.inner.fine.turned(turn))
        return (pair, place.frame, place.correlation)
      }.sorted { $0.2 > $1.2 }
      for (pair, frame, coarse) in candidates where coarse >= coarsePart {
        if let found = refined(pair.outer, pair.inner, turn, frame, partRule, firstIsInner: pair.firstIsInner) {
          return found
        }
      }
    }
    return nil
  }

  private static func refined(
    _ outer: AlignablePicture, _ inner: AlignablePicture, _ turn: PictureTurn, _ frame: PictureAlignment.Frame,
    _ rule: Rule, firstIsInner: Bool
  ) -> PictureAlignment? {
    var refinement = AlignmentRefinement(outer: outer.fine, inner: inner.fine.turned(turn), frame: frame)
    let (frame, correlation) = refinement.refine(frame)
    guard correlation >= rule.correlation else { return nil }
    let blocks = refinement.blockCorrelations()
    guard blocks.count >= rule.blocks, blocks[blocks.count / 4] >= rule.quarter,
      blocks[blocks.count / 2] >= rule.median
    else { return nil }
    return PictureAlignment(
      turn: turn, frame: frame, firstIsInner: firstIsInner, similarity: Double(min(1, blocks[blocks.count / 2])))
  }
}
