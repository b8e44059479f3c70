import Foundation

/// `openssl s_server` with a certificate of its own, which sends files as they are: they hold whole responses.
final class TLSServer {
  private static let openssl = URL(fileURLWithPath: "/usr/bin/openssl")
  static var isAvailable: Bool { FileManager.default.isExecutableFile(atPath: openssl.path) }

  let certificate: URL
  let address: String
  private let process: Process

  init(files: [String: Data], in parent: URL) throws {
    let folder = parent.appending(path: "tls")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, contents) in files { try contents.write(to: folder.appending(path: name)) }
    certificate = folder.appending(path: "certificate.pem")
    let make = try Self.start(
      [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "certificate.pem", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
      ], folder, output: .nullDevice)
    make.waitUntilExit()

    // Port 0 is any that is free; the server says which.
    let output = Pipe()
    process = try Self.start(
      ["s_server", "-accept", "127.0.0.1:0", "-cert", "certificate.pem", "-key", "key.pem", "-HTTP"], folder,
      output: output.fileHandleForWriting)
    var said = ""
    while !said.contains("ACCEPT"), case let data = output.fileHandleForReading.availableData, !data.isEmpty {
      said += String(decoding: data, as: UTF8.self)
    }
    let line = said.split(separator: "\n").first { $0.contains("ACCEPT") } ?? ""
    address = "https://127.0.0.1:\(line.split(separator: ":").last ?? "")"
  }

  deinit { process.terminate() }

  private static func start(_ arguments: [String], _ folder: URL, output: FileHandle) throws -> Process {
    let process = Process()
    process.executableURL = openssl
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return process
  }
}
