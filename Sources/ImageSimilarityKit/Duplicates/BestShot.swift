internal import ImageSimilarityCore
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Chooses the picture of a group that is worth keeping.
struct BestShot {
  /// The longer side at which pictures are looked at, at most.
  private static let side = 512
  /// What makes the score, in sum 1.
  private static let (sizeShare, sharpnessShare, exposureShare, colorShare) = (0.35, 0.35, 0.2, 0.1)

  private let compared: ComparedPictures
  private let verdicts: DuplicateVerdicts

  init(_ compared: ComparedPictures, _ verdicts: DuplicateVerdicts) {
    self.compared = compared
    self.verdicts = verdicts
  }

  private struct Look {
    var number: Int
    var size: PixelSize
    var quality: ShotQuality
    var score = 0.0
    var isKept: Bool
  }

  func group(_ group: NumberedGroup) -> (group: DuplicateGroup, bestNumber: Int) {
    var looks = look(at: group)
    let sharpest = max(looks.map(\.quality.sharpness).max() ?? 0, 1e-9)
    let largest = Double(looks.map(\.size.area).max() ?? 1)
    let anyColor = looks.contains { $0.quality.isColored }
    for i in looks.indices {
      // Differences of a twentieth are noise, or a watermark.
      looks[i].quality.sharpness = (looks[i].quality.sharpness / sharpest * 20).rounded() / 20
      let quality = looks[i].quality
      looks[i].score =
        Self.sizeShare * (Double(looks[i].size.area) / largest).squareRoot()
        + Self.sharpnessShare * quality.sharpness + Self.exposureShare * quality.exposure
        + Self.colorShare * (quality.isColored || !anyColor ? 1 : 0)
    }
    looks.sort { a, b in
      if a.isKept != b.isKept { return a.isKept }
      // Scores that look the same are: then the larger file, then the first name.
      let (x, y) = ((a.score * 500).rounded(), (b.score * 500).rounded())
      let (p, q) = (compared.pictures[a.number], compared.pictures[b.number])
      return (y, q.bytes, p.id) < (x, p.bytes, q.id)
    }
    let best = looks[0]
    let members = looks.map { look in
      let picture = compared.pictures[look.number]
      return DuplicateMember(
        id: picture.id, path: picture.path, bytes: picture.bytes, width: look.size.width, height: look.size.height,
        sharpness: look.quality.sharpness, exposure: rounded(look.quality.exposure),
        isColored: look.quality.isColored, score: rounded(look.score), isKept: look.isKept,
        edits: look.number == best.number || group.kind == .burst ? [] : edits(of: look, from: best, group))
    }
    let worst = group.worstPair
    return (
      DuplicateGroup(
        kind: group.kind, best: compared.pictures[best.number].id, reason: reason(looks), members: members,
        worstPair: DuplicatePair(
          first: compared.pictures[worst.first].id, second: compared.pictures[worst.second].id,
          similarity: rounded(worst.similarity))), best.number
    )
  }

  private func rounded(_ value: Double) -> Double { (value * 10_000).rounded() / 10_000 }

  private func look(at group: NumberedGroup) -> [Look] {
    let sources = group.members.map { ImageSource.file(URL(fileURLWithPath: compared.pictures[$0].path)) }
    let sizes = sources.map { (try? compared.decoder.pixelSize(of: $0)) ?? PixelSize(width: 1, height: 1) }
    let side = min(Self.side, sizes.map { max($0.width, $0.height) }.min() ?? Self.side)
    var seen: [Int: ShotQuality] = [:]
    return zip(group.members, zip(sources, sizes)).map { number, file in
      // Files with the same bytes are looked at once.
      let same = group.kind == .exact ? group.members[0] : number
      let quality =
        seen[same] ?? (try? compared.decoder.decode(file.0, maximumSide: side)).map(ShotQuality.init)
        ?? ShotQuality(sharpness: 0, exposure: 0, isColored: false)
      seen[same] = quality
      return Look(
        number: number, size: file.1, quality: quality, isKept: verdicts.keep.contains(compared.pictures[number].id))
    }
  }

  private func reason(_ looks: [Look]) -> String {
    let (best, others) = (looks[0], looks.dropFirst())
    if best.isKept { return "kept by you" }
    var parts: [String] = []
    if others.allSatisfy({ $0.size.area < best.size.area }) {
      parts.append("the largest (\(best.size.width) x \(best.size.height))")
    }
    if others.allSatisfy({ $0.quality.sharpness < best.quality.sharpness - 0.01 }) { parts.append("the sharpest") }
    if others.allSatisfy({ $0.quality.exposure < best.quality.exposure - 0.02 }) { parts.append("the best exposed") }
    if best.quality.isColored, others.allSatisfy({ !$0.quality.isColored }) { parts.append("the only one in colour") }
    if parts.isEmpty, others.contains(where: { $0.score < best.score - 0.002 }) {
      let losses: [(String, (Look) -> Bool)] = [
        ("smaller", { $0.size.area < best.size.area }),
        ("less sharp", { $0.quality.sharpness < best.quality.sharpness - 0.01 }),
        ("worse exposed", { $0.quality.exposure < best.quality.exposure - 0.02 }),
        ("grey", { !$0.quality.isColored && best.quality.isColored }),
      ]
      let found = losses.filter { loss in others.contains(where: loss.1) }.map(\.0)
      if !found.isEmpty { parts.append("others are \(found.joined(separator: " or "))") }
    }
    guard parts.isEmpty else { return parts.joined(separator: ", ") }
    let bytes = compared.pictures[best.number].bytes
    return others.allSatisfy { compared.pictures[$0.number].bytes < bytes }
      ? "alike; the largest file" : "alike; the first by name"
  }

  private func edits(of look: Look, from best: Look, _ group: NumberedGroup) -> [String] {
    let (picture, other) = (compared.pictures[look.number], compared.pictures[best.number])
    if compared.copies.contains(where: { $0.contains(look.number) && $0.contains(best.number) }) { return ["copy"] }
    var edits: [String] = []
    // Copies of the same bytes lie as the first of them does.
    let first = { (number: Int) in compared.copies.first { $0.contains(number) }?[0] ?? number }
    if let a = place(first(best.number), group), let b = place(first(look.number), group) {
      let turn = Self.turn(from: a, to: b)
      if turn != .none { edits.append(turn.rawValue) }
      let ratio = Self.stretch(a) / max(Self.stretch(b), 1e-9)
      if ratio < 0.93 { edits.append("cropped") }
      if ratio > 1.08 { edits.append("cropped-less") }
      if ratio >= 0.93, ratio <= 1.08 {
        let scale = Double(look.size.area) / Double(best.size.area)
        if scale < 0.95 { edits.append("smaller") }
        if scale > 1.05 { edits.append("larger") }
      }
    }
    if best.quality.isColored, !look.quality.isColored { edits.append("grey") }
    if let a = other.small?.mean, let b = picture.small?.mean, !edits.contains("cropped"), !edits.contains("cropped-less") {
      if b < a * 0.88 { edits.append("darker") }
      if b > a * 1.12 { edits.append("brighter") }
    }
    return edits.isEmpty ? ["recompressed"] : edits
  }

  /// How the middle picture lies over a member.
  private func place(_ number: Int, _ group: NumberedGroup) -> ((Double, Double) -> (x: Double, y: Double))? {
    if number == group.middle { return { ($0, $1) } }
    guard let alignment = group.alignments[number] else { return nil }
    return alignment.map
  }

  /// How much larger areas get: a member that shows a part of the middle picture stretches it.
  private static func stretch(_ map: (Double, Double) -> (x: Double, y: Double)) -> Double {
    let (origin, right, down) = (map(0, 0), map(1, 0), map(0, 1))
    return abs((right.x - origin.x) * (down.y - origin.y) - (right.y - origin.y) * (down.x - origin.x))
  }

  private static func turn(
    from a: (Double, Double) -> (x: Double, y: Double), to b: (Double, Double) -> (x: Double, y: Double)
  ) -> PictureTurn {
    func axes(_ map: (Double, Double) -> (x: Double, y: Double)) -> [[Double]] {
      let (origin, right, down) = (map(0, 0), map(1, 0), map(0, 1))
      return [
        [right.x - origin.x, right.y - origin.y], [down.x - origin.x, down.y - origin.y],
      ].map { $0.map { abs($0) < 1e-6 ? 0 : $0 < 0 ? -1 : 1 } }
    }
    let (from, to) = (axes(a), axes(b))
    return PictureTurn.allCases.first { turn in
      // The turn takes each axis of the one picture to that of the other.
      let origin = turn.turn(0, 0)
      return zip(from, to).allSatisfy { axis, target in
        let point = turn.turn(axis[0], axis[1])
        return abs(point.x - origin.x - target[0]) < 1e-6 && abs(point.y - origin.y - target[1]) < 1e-6
      }
    } ?? .none
  }
}

/// What can be said about a picture without knowing what it shows.
struct ShotQuality: Sendable, Hashable {
  var sharpness: Double
  var exposure: Double
  var isColored: Bool
}

extension ShotQuality {
  private static let block = 16

  init(_ image: RGBImage) {
    let grey = GreyPicture(luminanceOf: image)
    var chroma = 0
    for i in stride(from: 0, to: image.pixels.count, by: 3) {
      let (red, green, blue) = (image.pixels[i], image.pixels[i + 1], image.pixels[i + 2])
      chroma += Int(max(red, green, blue) - min(red, green, blue))
    }
    let count = Double(image.size.area)
    let clipped = Double(grey.pixels.reduce(0) { $0 + ($1 <= 3 || $1 >= 252 ? 1 : 0) }) / count
    self.init(
      sharpness: Self.sharpness(of: grey),
      exposure: (1 - clipped) * (1 - abs(grey.mean / 255 - 0.5)),
      isColored: Double(chroma) / count > 4)
  }

  /// The mean size of the Laplacian in the blocks that have more detail than half of them and less than the busiest sixth: a
  /// few lines of text, or a plain background, change little.
  private static func sharpness(of grey: GreyPicture) -> Double {
    guard grey.width > 2, grey.height > 2 else { return 0 }
    let columns = (grey.width + block - 1) / block
    var sums = [(sum: Int, count: Int)](
      repeating: (0, 0), count: columns * ((grey.height + block - 1) / block))
    for y in 1..<grey.height - 1 {
      for x in 1..<grey.width - 1 {
        let i = y * grey.width + x
        let around =
          Int(grey.pixels[i - 1]) + Int(grey.pixels[i + 1]) + Int(grey.pixels[i - grey.width])
          + Int(grey.pixels[i + grey.width])
        let place = y / block * columns + x / block
        sums[place].sum += abs(4 * Int(grey.pixels[i]) - around)
        sums[place].count += 1
      }
    }
    let means = sums.filter { $0.count > 0 }.map { Double($0.sum) / Double($0.count) }.sorted()
    let chosen = means[means.count / 2..<max(means.count / 2 + 1, means.count * 5 / 6)]
    return chosen.reduce(0, +) / Double(chosen.count)
  }
}

extension GreyPicture {
  /// From 0 to 255.
  var mean: Double { Double(pixels.reduce(0) { $0 + Int($1) }) / Double(pixels.count) }
}
