internal import Foundation
package import ImageSimilarityCore
internal import ImageSimilaritySearch

// TEMPORARY, until main has these
extension SimilarityModel {
  package var fingerprint: ExtractorFingerprint { extractor.fingerprint }
  package func attachment<Value: Decodable>(_ name: String, as type: Value.Type) throws(SimilarityError) -> Value? {
    guard let data = try? Data(contentsOf: url.appending(path: name)) else { return nil }
    do { return try JSONDecoder().decode(type, from: data) } catch { throw SimilarityError(.modelCorrupt, "\(error)") }
  }
  package func setAttachment<Value: Encodable & Sendable>(_ name: String, _ value: Value?) async throws {
    try JSONEncoder().encode(value).write(to: url.appending(path: name))
  }
}
extension SegmentStore { func searchedVector(_ id: String) throws(SimilarityError) -> [Float]? { try embedding(id) } }
extension ImageRecord {
  var folderName: String? {
    let components = (path ?? id).split(separator: "/")
    return components.count > 1 ? String(components[components.count - 2]) : nil
  }
}
