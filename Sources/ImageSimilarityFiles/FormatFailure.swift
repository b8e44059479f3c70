package import ImageSimilarityCore

/// What breaks the rules of a format, where the file's name is not at hand.
package struct FormatFailure: Error {
  package let message: String

  package init(_ message: String) { self.message = message }
}

/// Calls `body`, and makes its failure an error of the file.
package func reading<R>(
  _ format: String, _ file: MappedFile, _ code: SimilarityError.Code, _ body: () throws(FormatFailure) -> R
) throws(SimilarityError) -> R {
  do {
    return try body()
  } catch {
    throw SimilarityError(code, "\(file.name) is not a valid \(format) file: \(error.message)")
  }
}

/// A name from a file as messages show it: in quotes, without control characters, and not too long.
package func quoted(_ name: String) -> String {
  let limit = 120
  return name.unicodeScalars.count <= limit
    ? name.debugDescription
    : String(String.UnicodeScalarView(name.unicodeScalars.prefix(limit))).debugDescription + "..."
}

/// The number of elements of a tensor, or nil where that is more than an `Int` holds.
package func elementCount(ofShape shape: [Int]) -> Int? {
  if shape.contains(0) { return 0 }
  var product = 1
  for size in shape {
    let (next, overflow) = product.multipliedReportingOverflow(by: size)
    if overflow { return nil }
    product = next
  }
  return product
}
