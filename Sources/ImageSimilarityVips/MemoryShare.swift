import CVipsShim

/// Part of the process's memory for decoding, given back at the end of its life.
struct MemoryShare: ~Copyable {
  /// What was asked for, 0 where that is too little to be counted: ordinary pictures never wait.
  let bytes: Int

  /// Waits until `bytes` are free of a total of `budget`, in the order of the calls. Where the budget is smaller, waits until
  /// nobody else holds any.
  init(_ bytes: Int, of budget: Int) {
    self.bytes = bytes > Self.negligible ? bytes : 0
    if self.bytes > 0 { cvips_memory_acquire(Int64(self.bytes), Int64(budget)) }
  }

  deinit {
    if bytes > 0 { cvips_memory_release(Int64(bytes)) }
  }

  static let negligible = 16 << 20
}
