internal import COpenBLAS
internal import Synchronization

/// OpenBLAS's settings, which belong to the whole process.
///
/// A search of many queries multiplies with OpenBLAS where the processor has no kernels for codes; networks have products of
/// their own. Searches are parallel over queries and vectors, so each product should run on the thread that asks for it. The
/// first product sets one thread, unless the application has called ``apply(threads:)`` before.
public enum BLASSettings {
  private static let isApplied = Mutex(false)

  /// Sets how many threads OpenBLAS uses for one product, in the whole process.
  ///
  /// - Precondition: `threads` is at least 1.
  public static func apply(threads: Int) {
    precondition(threads >= 1, "OpenBLAS needs at least one thread")
    isApplied.withLock { isApplied in
      openblas_set_num_threads(CInt(threads))
      isApplied = true
    }
  }

  /// The library's version and build, for example `OpenBLAS 0.3.21 DYNAMIC_ARCH ... Zen MAX_THREADS=64`.
  public static var version: String {
    unsafe String(cString: openblas_get_config()).split(separator: " ").joined(separator: " ")
  }

  /// The processor family whose kernels OpenBLAS has chosen.
  public static var core: String { unsafe String(cString: openblas_get_corename()) }

  static func applyDefaultIfNeeded() {
    isApplied.withLock { isApplied in
      if !isApplied { openblas_set_num_threads(1) }
      isApplied = true
    }
  }
}
