public import ImageSimilarityCore

/// A picture on a page.
public struct ReportPicture: Sendable {
  /// Nil where nobody knows where the picture is; its place says so.
  public var source: ImageSource?
  public var name: String
  /// Lines below the name.
  public var lines: [String]
  /// A part of the picture to outline.
  public var region: ReportRegion?
  /// How much each part of the picture counts.
  public var heat: ReportHeatMap?

  public init(
    source: ImageSource?, name: String, lines: [String] = [], region: ReportRegion? = nil, heat: ReportHeatMap? = nil
  ) {
    self.source = source
    self.name = name
    self.lines = lines
    self.region = region
    self.heat = heat
  }
}

/// A rectangle in fractions of a picture's width and height, `(0, 0)` being its top left corner. What lies outside of 0...1 is
/// cut off.
public struct ReportRegion: Sendable, Hashable {
  public var x: Double
  public var y: Double
  public var width: Double
  public var height: Double

  public init(x: Double, y: Double, width: Double, height: Double) {
    self.x = x
    self.y = y
    self.width = width
    self.height = height
  }
}

/// How much the parts of a picture count: a grid over the whole picture. The largest value is shown as the picture itself, and
/// 0 and less as dark and grey.
public struct ReportHeatMap: Sendable, Hashable {
  public let rows: Int
  public let columns: Int
  /// `[rows, columns]`, the top row first.
  public let values: [Float]

  /// - Precondition: `values.count == rows * columns`, and there is a value.
  public init(rows: Int, columns: Int, values: [Float]) {
    precondition(
      rows > 0 && columns > 0 && values.count == rows * columns,
      "a heat map of \(rows) x \(columns) does not have \(values.count) values")
    self.rows = rows
    self.columns = columns
    self.values = values
  }
}

/// A query and its hits.
public struct ReportHits: Sendable {
  public var query: ReportPicture
  /// In the order in which to show them.
  public var hits: [ReportHit]

  public init(query: ReportPicture, hits: [ReportHit]) {
    self.query = query
    self.hits = hits
  }
}

/// A hit of a query.
public struct ReportHit: Sendable {
  public var picture: ReportPicture
  /// 1 for the nearest.
  public var rank: Int
  public var distance: Float
  public var probabilities: [ReportProbability]
  /// How much each part of the query counts for this hit, as the picture's own ``ReportPicture/heat`` does for the hit.
  public var queryHeat: ReportHeatMap?

  public init(
    picture: ReportPicture, rank: Int, distance: Float, probabilities: [ReportProbability] = [],
    queryHeat: ReportHeatMap? = nil
  ) {
    self.picture = picture
    self.rank = rank
    self.distance = distance
    self.probabilities = probabilities
    self.queryHeat = queryHeat
  }
}

/// How likely something is, for example "same picture".
public struct ReportProbability: Sendable, Hashable {
  public var name: String
  /// From 0 to 1.
  public var value: Double

  public init(_ name: String, _ value: Double) {
    self.name = name
    self.value = value
  }
}

/// Groups of pictures that belong together, duplicates for example.
public struct ReportGroups: Sendable {
  public var title: String
  /// A sentence below the title.
  public var summary: String
  public var groups: [ReportGroup]

  public init(title: String, summary: String = "", groups: [ReportGroup]) {
    self.title = title
    self.summary = summary
    self.groups = groups
  }
}

/// Pictures that belong together.
public struct ReportGroup: Sendable {
  public var title: String
  /// Why they do.
  public var reason: String
  public var members: [Member]

  public init(title: String, reason: String = "", members: [Member]) {
    self.title = title
    self.reason = reason
    self.members = members
  }

  public struct Member: Sendable {
    public var picture: ReportPicture
    /// Set off from the others.
    public var isBest: Bool

    public init(_ picture: ReportPicture, isBest: Bool = false) {
      self.picture = picture
      self.isBest = isBest
    }
  }
}

/// What an evaluation measured.
public struct ReportMeasures: Sendable {
  public var title: String
  /// A sentence below the title.
  public var summary: String
  /// What is compared, the models for example.
  public var columns: [String]
  public var rows: [Row]
  /// What ``Class/estimate`` is.
  public var classMeasure: String
  /// In the order in which to show them.
  public var classes: [Class]

  public init(
    title: String, summary: String = "", columns: [String], rows: [Row], classMeasure: String = "",
    classes: [Class] = []
  ) {
    self.title = title
    self.summary = summary
    self.columns = columns
    self.rows = rows
    self.classMeasure = classMeasure
    self.classes = classes
  }

  /// A number from 0 to 1, and how sure it is.
  public struct Estimate: Sendable, Hashable {
    public var value: Double
    public var interval: ClosedRange<Double>?
    /// A line below it, the difference from another for example.
    public var note: String?

    public init(_ value: Double, interval: ClosedRange<Double>? = nil, note: String? = nil) {
      self.value = value
      self.interval = interval
      self.note = note
    }
  }

  /// A measure of everything that is compared.
  public struct Row: Sendable, Hashable {
    public var name: String
    /// One a column; nil where it was not measured.
    public var estimates: [Estimate?]

    public init(_ name: String, _ estimates: [Estimate?]) {
      self.name = name
      self.estimates = estimates
    }
  }

  /// A class of pictures.
  public struct Class: Sendable, Hashable {
    public var label: String
    public var images: Int
    public var estimate: Estimate
    /// The classes that it is taken for, and in which part of the cases.
    public var confusions: [ReportProbability]

    public init(label: String, images: Int, estimate: Estimate, confusions: [ReportProbability] = []) {
      self.label = label
      self.images = images
      self.estimate = estimate
      self.confusions = confusions
    }
  }
}

/// A collection in the plane.
public struct ReportMap: Sendable {
  public var title: String
  /// A sentence below the title.
  public var summary: String
  /// What the points' groups are called.
  public var groups: [String]
  public var points: [Point]

  /// - Precondition: each point's group is one of `groups`.
  public init(title: String, summary: String = "", groups: [String], points: [Point]) {
    precondition(
      points.allSatisfy { groups.indices.contains($0.group) }, "the points of a map are in groups of the map")
    self.title = title
    self.summary = summary
    self.groups = groups
    self.points = points
  }

  /// A picture at its place.
  public struct Point: Sendable {
    public var name: String
    /// In any unit; a point that is NaN or infinite is left out.
    public var x: Float
    public var y: Float
    /// Which of ``ReportMap/groups`` it is in.
    public var group: Int
    public var source: ImageSource?

    public init(name: String, x: Float, y: Float, group: Int, source: ImageSource? = nil) {
      self.name = name
      self.x = x
      self.y = y
      self.group = group
      self.source = source
    }
  }
}
