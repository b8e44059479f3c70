/// The links of an HNSW graph as plain arrays, laid out as FAISS keeps them: what files are made of.
package struct HNSWTopology: Sendable {
  /// How many links a row has on each level above 0; twice as many on level 0.
  package var m: Int
  package var efConstruction: Int
  package var ef: Int
  /// The row at which every search begins; -1 where there are no rows.
  package var entryPoint: Int
  /// The highest level of each row, from 0.
  package var levels: [UInt8]
  /// Row after row: `2 m` slots of level 0, then `m` slots of each further level; -1 in unused slots, which are the last of
  /// their level.
  package var links: [Int32]

  package init(m: Int, efConstruction: Int, ef: Int, entryPoint: Int, levels: [UInt8], links: [Int32]) {
    self.m = m
    self.efConstruction = efConstruction
    self.ef = ef
    self.entryPoint = entryPoint
    self.levels = levels
    self.links = links
  }
}
