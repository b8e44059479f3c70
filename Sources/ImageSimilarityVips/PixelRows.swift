/// Where the rows of a picture are written: memory that its maker keeps alive, and checks the size of.
@safe struct PixelRows {
  /// The first pixel of the top row.
  let start: UnsafeMutablePointer<UInt8>
  /// From one row to the next.
  let rowBytes: Int

  init(start: UnsafeMutablePointer<UInt8>, rowBytes: Int) {
    unsafe self.start = start
    self.rowBytes = rowBytes
  }
}
