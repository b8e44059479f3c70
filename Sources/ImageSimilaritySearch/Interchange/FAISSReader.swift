import ImageSimilarityCore
import ImageSimilarityFiles

/// Reads an index file from its beginning to its end.
struct FAISSReader {
  private let source: MappedFile
  private var reader: ByteReader

  init(_ file: MappedFile) {
    source = file
    reader = ByteReader(file, 0..<file.count)
  }

  /// What each index states before its contents.
  private struct Header {
    var dimension: Int
    var rows: Int
    var metric: Metric
  }

  mutating func file() throws(FormatFailure) -> FAISSFile {
    let start = reader.position
    let tag = try tag()
    let result: FAISSFile
    switch tag {
    case .flatInnerProduct, .flatEuclidean:
      result = try flat(tag)
    case .hnsw:
      result = try hnsw()
    case .idMap, .idMapWithReverse:
      result = try idMap()
    }
    guard reader.position == reader.end else {
      throw FormatFailure(
        "the index at byte \(start) ends at byte \(reader.position); expected the end of the file, \(reader.end)")
    }
    return result
  }

  // MARK: - Indexes

  private mutating func idMap() throws(FormatFailure) -> FAISSFile {
    let header = try header()
    let position = reader.position
    let tag = try tag()
    var result: FAISSFile
    switch tag {
    case .flatInnerProduct, .flatEuclidean: result = try flat(tag)
    case .hnsw: result = try hnsw()
    case .idMap, .idMapWithReverse:
      throw FormatFailure("at byte \(position), expected an index that an id map may hold; found \(tag.rawValue)")
    }
    try check(result, against: header)
    let labels = try vector(Int64.self, "labels")
    guard labels.count == header.rows else {
      throw FormatFailure("expected \(header.rows) labels, one a vector; found \(labels.count)")
    }
    result.labels = labels
    return result
  }

  private mutating func flat(_ tag: FAISSTag) throws(FormatFailure) -> FAISSFile {
    let header = try header()
    let metric: Metric = tag == .flatInnerProduct ? .innerProduct : .euclidean
    guard header.metric == metric else {
      throw FormatFailure(
        "expected \(tag.rawValue) to have the metric \(metric.rawValue); found \(header.metric.rawValue)")
    }
    let expected = header.rows.multipliedReportingOverflow(by: header.dimension)
    let count = try reader.count(UInt64.self)
    guard !expected.overflow, count == expected.partialValue else {
      throw FormatFailure(
        "before byte \(reader.position), expected \(header.rows) x \(header.dimension) elements; found \(count)")
    }
    let bytes = try elements(count, of: Float.self)
    let memory = ColumnMemory<Float>(count: count)
    unsafe UnsafeMutableRawBufferPointer(start: memory.start, count: bytes.count)
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: source.bytes[bytes]))
    let vectors = unsafe EmbeddingMatrix(
      rows: header.rows, dimension: header.dimension,
      elements: UnsafeBufferPointer(start: memory.start, count: count), owner: memory)
    return FAISSFile(metric: metric, vectors: vectors)
  }

  private mutating func hnsw() throws(FormatFailure) -> FAISSFile {
    let header = try header()
    let graph = try topology(rows: header.rows)
    let position = reader.position
    let tag = try tag()
    guard tag == .flatInnerProduct || tag == .flatEuclidean else {
      throw FormatFailure(
        "at byte \(position), expected an HNSW index's vectors as IxFI or IxF2; found \(tag.rawValue)")
    }
    var result = try flat(tag)
    try check(result, against: header)
    result.graph = graph
    return result
  }

  private func check(_ file: FAISSFile, against header: Header) throws(FormatFailure) {
    guard
      file.vectors.rows == header.rows, file.vectors.dimension == header.dimension, file.metric == header.metric
    else {
      throw FormatFailure(
        "expected \(header.rows) vectors of \(header.dimension) elements and the metric \(header.metric.rawValue), as the "
          + "outer index says; found \(file.vectors.rows) of \(file.vectors.dimension) and \(file.metric.rawValue)")
    }
  }

  // MARK: - The graph

  private mutating func topology(rows: Int) throws(FormatFailure) -> HNSWTopology {
    guard rows <= Int(Int32.max) else {
      throw FormatFailure("expected a graph of at most \(Int32.max) rows; found \(rows)")
    }
    // The chances of a new row's levels are not needed to search.
    _ = try reader.skip(byteCount(of: Double.self, "level probabilities"))
    let ends = try vector(Int32.self, "link counts")
    let m = try linksPerLevel(ends)

    let stored = try vector(Int32.self, "levels")
    guard stored.count == rows else { throw FormatFailure("expected \(rows) levels, one a row; found \(stored.count)") }
    let highest = min(ends.count - 1, 256)
    var levels: [UInt8] = []
    levels.reserveCapacity(rows)
    for (row, level) in stored.enumerated() {
      guard level >= 1, level <= highest else {
        throw FormatFailure("row \(row) is on \(level) levels; expected 1 to \(highest)")
      }
      levels.append(UInt8(level - 1))
    }

    try checkOffsets(ends, stored)
    let links = try vector(Int32.self, "links")
    let expected = stored.reduce(0) { $0 + Int(ends[Int($1)]) }
    guard links.count == expected else { throw FormatFailure("expected \(expected) links; found \(links.count)") }

    let entryPoint = try Int(reader.integer(Int32.self))
    let highestLevel = try Int(reader.integer(Int32.self))
    let efConstruction = try Int(reader.integer(Int32.self))
    let ef = try Int(reader.integer(Int32.self))
    // A setting of old versions.
    _ = try reader.integer(Int32.self)
    guard efConstruction >= 1, ef >= 1 else {
      throw FormatFailure("expected widths of the search of at least 1; found \(efConstruction) and \(ef)")
    }
    try checkEntry(entryPoint, highestLevel, levels)
    let graph = HNSWTopology(
      m: m, efConstruction: efConstruction, ef: ef, entryPoint: entryPoint, levels: levels, links: links)
    try checkLinks(graph)
    return graph
  }

  /// `ends[l]` is where the slots of level `l` begin: 0, 2 m, 3 m, ...
  private func linksPerLevel(_ ends: [Int32]) throws(FormatFailure) -> Int {
    guard ends.count >= 2, ends[0] == 0, ends[1] >= 2, ends[1] % 2 == 0 else {
      throw FormatFailure("expected counts of links 0, 2 m, 3 m, ...; found \(ends.prefix(4))")
    }
    let m = Int(ends[1] / 2)
    for level in ends.indices.dropFirst() where Int(ends[level]) != (level + 1) * m {
      throw FormatFailure(
        "expected \((level + 1) * m) links up to level \(level - 1), with \(m) a level; found \(ends[level])")
    }
    return m
  }

  private mutating func checkOffsets(_ ends: [Int32], _ levels: [Int32]) throws(FormatFailure) {
    let offsets = try vector(UInt64.self, "offsets")
    guard offsets.count == levels.count + 1 else {
      throw FormatFailure("expected \(levels.count + 1) offsets; found \(offsets.count)")
    }
    var expected: UInt64 = 0
    for row in offsets.indices {
      guard offsets[row] == expected else {
        throw FormatFailure("expected the links of row \(row) at \(expected); found \(offsets[row])")
      }
      if row < levels.count { expected += UInt64(ends[Int(levels[row])]) }
    }
  }

  private func checkEntry(_ entryPoint: Int, _ highestLevel: Int, _ levels: [UInt8]) throws(FormatFailure) {
    guard let top = levels.max() else {
      guard entryPoint == -1 else {
        throw FormatFailure("expected no entry to an empty graph; found row \(entryPoint)")
      }
      return
    }
    guard levels.indices.contains(entryPoint) else {
      throw FormatFailure("expected the entry to be one of \(levels.count) rows; found row \(entryPoint)")
    }
    guard highestLevel == Int(top), levels[entryPoint] == top else {
      throw FormatFailure(
        "expected the entry on the highest level, \(top); found row \(entryPoint) of level \(levels[entryPoint]), and "
          + "\(highestLevel) as the highest")
    }
  }

  /// Each link leads to another row that is on the link's level, and unused slots are the last of a level.
  private func checkLinks(_ graph: HNSWTopology) throws(FormatFailure) {
    var start = 0
    for (row, top) in graph.levels.enumerated() {
      for level in 0...Int(top) {
        let end = start + (level == 0 ? 2 * graph.m : graph.m)
        var isOver = false
        for link in graph.links[start..<end] {
          if link == -1 {
            isOver = true
            continue
          }
          guard !isOver, link >= 0, link < graph.levels.count, Int(link) != row, graph.levels[Int(link)] >= level else {
            throw FormatFailure(
              "row \(row) has the link \(link) on level \(level); expected another of \(graph.levels.count) rows that is "
                + "on that level, and -1 in the last slots alone")
          }
        }
        start = end
      }
    }
  }

  // MARK: - Values

  private mutating func tag() throws(FormatFailure) -> FAISSTag {
    let position = reader.position
    let name = String(decoding: try reader.bytes(4), as: UTF8.self)
    guard let tag = FAISSTag(rawValue: name) else {
      throw FormatFailure(
        "at byte \(position), expected an index of the kind IxFI, IxF2, IxM2, IxMp or IHNf; found \(quoted(name))")
    }
    return tag
  }

  private mutating func header() throws(FormatFailure) -> Header {
    let position = reader.position
    let dimension = try reader.integer(Int32.self)
    guard dimension >= 1, dimension <= FAISSFile.maximumDimension else {
      throw FormatFailure(
        "at byte \(position), expected a dimension of 1 to \(FAISSFile.maximumDimension); found \(dimension)")
    }
    let rows = try reader.integer(Int64.self)
    guard rows >= 0, rows <= source.count / MemoryLayout<Float>.size else {
      throw FormatFailure("\(rows) vectors do not fit into a file of \(source.count) bytes")
    }
    // Two numbers that mean nothing, and whether the index is trained.
    _ = try reader.skip(17)
    let metric = try reader.integer(Int32.self)
    switch metric {
    case 0: return Header(dimension: Int(dimension), rows: Int(rows), metric: .innerProduct)
    case 1: return Header(dimension: Int(dimension), rows: Int(rows), metric: .euclidean)
    default: throw FormatFailure("expected the metric 0 (inner product) or 1 (Euclidean); found \(metric)")
    }
  }

  /// The bytes of a vector, whose length comes before it.
  private mutating func byteCount<T>(of type: T.Type, _ what: String) throws(FormatFailure) -> Int {
    let position = reader.position
    let count = try reader.integer(UInt64.self)
    guard count <= (reader.end - reader.position) / MemoryLayout<T>.size else {
      throw FormatFailure(
        "at byte \(position), \(count) \(what) are announced, and only \(reader.end - reader.position) bytes follow")
    }
    return Int(count) * MemoryLayout<T>.size
  }

  private mutating func vector<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, _ what: String
  ) throws(FormatFailure) -> [T] {
    let range = try reader.skip(byteCount(of: type, what))
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: source.bytes[range])
    return unsafe [T](unsafeUninitializedCapacity: bytes.count / MemoryLayout<T>.size) { memory, count in
      unsafe UnsafeMutableRawBufferPointer(memory).copyMemory(from: bytes)
      count = bytes.count / MemoryLayout<T>.size
    }
  }

  private mutating func elements<T>(_ count: Int, of type: T.Type) throws(FormatFailure) -> Range<Int> {
    let available = reader.end - reader.position
    guard count <= available / MemoryLayout<T>.size else {
      throw FormatFailure("at byte \(reader.position), expected \(count) elements; found \(available) bytes")
    }
    return try reader.skip(count * MemoryLayout<T>.size)
  }
}
