internal import ImageSimilaritySearch

extension ReportMap {
  /// What the colours of a map show.
  public enum Coloring: String, Sendable, Hashable, CaseIterable {
    /// Each picture's label, or else the name of the folder that it lies in.
    case label
    /// ``CollectionLayout/Point/cluster``.
    case cluster
  }
}

extension SimilarityModel {
  /// A map of the model's pictures to show on a page.
  ///
  /// - Parameters:
  ///   - layout: What ``layout(neighbors:seed:progress:)`` made of this model.
  ///   - coloring: Where nil, the labels if at least half of the pictures have one and there are several, or else the clusters.
  /// - Throws: what reading the records throws.
  /// - Complexity: O(pictures)
  public func reportMap(_ layout: CollectionLayout, coloring: ReportMap.Coloring? = nil) throws -> ReportMap {
    let labels = layout.points.compactMap(\.label)
    let coloring =
      coloring ?? (2 * labels.count >= layout.points.count && Set(labels).count > 1 ? .label : .cluster)
    var numbers: [String: Int] = [:]
    var groups: [String] = []
    let points = try layout.points.map { point in
      let name: String
      switch coloring {
      case .label: name = point.label ?? "no label"
      case .cluster: name = "cluster \(point.cluster + 1)"
      }
      let group: Int
      if let number = numbers[name] {
        group = number
      } else {
        group = groups.count
        numbers[name] = group
        groups.append(name)
      }
      return ReportMap.Point(
        name: point.id, x: point.x, y: point.y, group: group, source: try record(point.id)?.pictureSource)
    }
    let count = points.count == 1 ? "1 picture" : "\(points.count) pictures"
    return ReportMap(
      title: "Map",
      summary: "\(count), coloured by \(coloring.rawValue). Near dots look alike; far distances mean little.",
      groups: groups, points: points)
  }
}
