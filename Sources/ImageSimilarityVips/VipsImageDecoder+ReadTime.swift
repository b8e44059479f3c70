import CVipsShim

extension VipsImageDecoder {
  /// Processor time that the calling thread has spent on reading picture files since it began.
  package static var threadReadTime: Duration { .nanoseconds(cvips_thread_read_time()) }
}
