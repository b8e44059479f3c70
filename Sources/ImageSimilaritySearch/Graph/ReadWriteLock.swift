#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// Many readers or one writer. A writer that waits goes before readers that come later, so that readers in a row cannot keep it
/// waiting for ever.
///
/// `@unchecked Sendable`: the memory is a lock of the system, which is made for that.
@safe final class ReadWriteLock: @unchecked Sendable {
  private let lock: UnsafeMutablePointer<pthread_rwlock_t>

  init() {
    unsafe lock = .allocate(capacity: 1)
    #if canImport(Glibc)
      var attributes = pthread_rwlockattr_t()
      unsafe pthread_rwlockattr_init(&attributes)
      unsafe pthread_rwlockattr_setkind_np(&attributes, CInt(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP))
      let result = unsafe pthread_rwlock_init(lock, &attributes)
    #else
      let result = unsafe pthread_rwlock_init(lock, nil)
    #endif
    precondition(result == 0, "a lock could not be made")
  }

  deinit {
    unsafe pthread_rwlock_destroy(lock)
    unsafe lock.deallocate()
  }

  func read<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    unsafe pthread_rwlock_rdlock(lock)
    defer { unsafe pthread_rwlock_unlock(lock) }
    return try body()
  }

  func write<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    unsafe pthread_rwlock_wrlock(lock)
    defer { unsafe pthread_rwlock_unlock(lock) }
    return try body()
  }
}
