/// Throws ``ConformanceFailure`` unless `condition` holds.
func require(_ condition: Bool, _ requirement: String, _ detail: @autoclosure () -> String) throws(ConformanceFailure) {
  if !condition { throw ConformanceFailure(requirement: requirement, detail: detail()) }
}
