import CVipsShim

/// Part of the process's memory for decoding, given back at the end of its life.
struct MemoryShare: ~Copyable {
  let bytes: Int

  /// Waits until `bytes` are free of a total of `budget`. Where that is less, waits until nobody else holds any.
  init(_ bytes: Int, of budget: Int) {
    self.bytes = bytes
    if bytes > 0 { cvips_memory_acquire(Int64(bytes), Int64(budget)) }
  }

  deinit {
    if bytes > 0 { cvips_memory_release(Int64(bytes)) }
  }
}
