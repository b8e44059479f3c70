public import ImageSimilarityCore

extension SegmentStore {
  /// Rewrites segments of which more than half is removed, and merges segments where there are eight of about the same size
  /// (within a factor of eight), so that a row is rewritten O(log(n)) times.
  ///
  /// Segments are merged up to 1 GiB of elements and 2^19 rows. Rows are copied from the old files to the new ones a part at a
  /// time, so that memory does not grow with the segments. Readers go on with what they have opened.
  public func compactIfNeeded() throws(SimilarityError) {
    while !segmentsToRewrite(segments).isEmpty {
      try change { state throws(SimilarityError) in
        let group = segmentsToRewrite(state.segments)
        let old = group.map { state.segments[$0] }
        var kept = state.segments.indices.filter { !group.contains($0) }.map { state.segments[$0] }
        if old.contains(where: { $0.liveCount > 0 }) { kept.append(try merge(old, &state.manifest)) }
        state.segments = kept
      }
    }
  }

  private static let mergedBytes = 1 << 30
  private static let mergedRows = 1 << 19

  /// Indices of segments to be replaced by one; empty where all is well.
  private func segmentsToRewrite(_ segments: [Segment]) -> [Int] {
    if let mostlyRemoved = segments.firstIndex(where: { $0.liveCount * 2 < $0.rows }) { return [mostlyRemoved] }
    let classes = Dictionary(grouping: segments.indices) { index in
      // Octal digits of the size.
      (Int.bitWidth - segments[index].liveCount.leadingZeroBitCount + 2) / 3
    }
    let elementBytes = precision == .fp32 ? MemoryLayout<Float>.size : MemoryLayout<UInt16>.size
    let limit = min(Self.mergedRows, Self.mergedBytes / (elementBytes * extractor.fingerprint.dimension))
    for (_, members) in classes.sorted(by: { $0.key < $1.key }) where members.count >= 8 {
      var group: [Int] = []
      var rows = 0
      for index in members.sorted(by: { (segments[$0].liveCount, $0) < (segments[$1].liveCount, $1) }) {
        rows += segments[index].liveCount
        if rows > limit { break }
        group.append(index)
      }
      if group.count >= 2 { return group.sorted() }
    }
    return []
  }

  private func merge(_ segments: [Segment], _ manifest: inout Manifest) throws(SimilarityError) -> Segment {
    let number = manifest.takeFileNumber()
    let sources = segments.map { (segment: $0, rows: $0.liveRows) }
    let vectors = try VectorsWriter.merge(
      sources.map { ($0.segment.stored, $0.rows) }, to: folder.segment(number + StoredVectors.suffix))
    afterStep(.wroteFile)
    var projected: Manifest.CheckedFile?
    if manifest.projection != nil {
      projected = try VectorsWriter.merge(
        sources.compactMap { source in source.segment.projected.map { ($0, source.rows) } },
        to: folder.segment(number + StoredVectors.projectedSuffix))
      afterStep(.wroteFile)
    }
    var writer = try RecordsWriter(folder: folder, number: number)
    for (segment, rows) in sources {
      let pathHashes = try segment.records.pathHashes()
      for row in rows {
        try writer.append(line: segment.records.line(row), id: segment.id(row), pathHash: pathHashes[row])
      }
      segment.records.release()
    }
    let (records, lookup) = try writer.commit { afterStep(.wroteFile) }
    return try Segment(
      Manifest.Segment(
        rows: sources.reduce(0) { $0 + $1.rows.count }, vectors: vectors, records: records, lookup: lookup,
        projected: projected), of: manifest, folder: folder)
  }
}
