internal import Dispatch
internal import Synchronization

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// An HTTP server on 127.0.0.1 that does to each connection exactly what a test says, and then closes it.
public final class MisbehavingServer: Sendable {
  public struct Request: Sendable {
    /// The first request is 0.
    public let number: Int
    public let path: String
    /// By names in lower case.
    public let fields: [String: String]

    /// The first byte that is asked for.
    public var start: Int? {
      fields["range"].flatMap { $0.hasPrefix("bytes=") ? Int($0.dropFirst(6).prefix { $0 != "-" }) : nil }
    }
  }

  public enum Action: Sendable {
    case send(Data)
    case wait(milliseconds: Int)
    /// Sends the same until the other side has had enough.
    case sendForever(Data)
  }

  private let descriptor: Int32
  private let port: UInt16
  private let log = Log()

  public var requests: [Request] { log.requests.withLock { $0 } }

  /// The address of the server's root folder.
  public var address: String { "http://127.0.0.1:\(port)" }

  public init(_ answer: @escaping @Sendable (Request) -> [Action]) throws {
    // A proxy would be asked for this machine too.
    unsafe setenv("no_proxy", "127.0.0.1", 1)
    #if canImport(Darwin)
      let descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #else
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, length) == 0 && listen(descriptor, 64) == 0
          && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard descriptor >= 0, isBound else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    self.descriptor = descriptor
    port = UInt16(bigEndian: address.sin_port)
    // A reference to the object would keep it from going, and the socket from closing.
    DispatchQueue(label: "server").async { [log] in
      while true {
        let connection = accept(descriptor, nil, nil)
        guard connection >= 0 else { return }
        DispatchQueue(label: "connection").async {
          defer { close(connection) }
          guard let (path, fields) = Self.readHead(connection) else { return }
          for action in answer(log.add(path, fields)) where !Self.perform(action, connection) { return }
        }
      }
    }
  }

  deinit {
    shutdown(descriptor, Int32(SHUT_RDWR))
    close(descriptor)
  }

  private final class Log: Sendable {
    let requests = Mutex<[Request]>([])

    func add(_ path: String, _ fields: [String: String]) -> Request {
      requests.withLock { requests in
        let request = Request(number: requests.count, path: path, fields: fields)
        requests.append(request)
        return request
      }
    }
  }

  private static func readHead(_ connection: Int32) -> (path: String, fields: [String: String])? {
    var head: [UInt8] = []
    var byte: UInt8 = 0
    while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      guard unsafe recv(connection, &byte, 1, 0) == 1, head.count < 1 << 16 else { return nil }
      head.append(byte)
    }
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
    let parts = lines[0].split(separator: " ")
    guard parts.count == 3 else { return nil }
    let fields = lines.dropFirst().map { line in
      (line.prefix { $0 != ":" }.lowercased(), String(line.drop { $0 != ":" }.dropFirst().drop { $0 == " " }))
    }
    return (String(parts[1]), Dictionary(fields) { $1 })
  }

  /// Whether the other side is still there.
  private static func perform(_ action: Action, _ connection: Int32) -> Bool {
    switch action {
    case .wait(let milliseconds): return usleep(UInt32(milliseconds) * 1000) == 0
    case .send(let data): return send(data, connection)
    case .sendForever(let data):
      while send(data, connection) {}
      return false
    }
  }

  private static func send(_ data: Data, _ connection: Int32) -> Bool {
    #if canImport(Darwin)
      let flags: Int32 = 0
    #else
      let flags = Int32(MSG_NOSIGNAL)
    #endif
    return unsafe data.withUnsafeBytes { bytes in
      var done = 0
      while done < bytes.count {
        #if canImport(Darwin)
          let count = unsafe Darwin.send(
            connection, bytes.baseAddress.map { unsafe $0 + done }, bytes.count - done, flags)
        #elseif canImport(Musl)
          let count = unsafe Musl.send(
            connection, bytes.baseAddress.map { unsafe $0 + done }, bytes.count - done, flags)
        #else
          let count = unsafe Glibc.send(
            connection, bytes.baseAddress.map { unsafe $0 + done }, bytes.count - done, flags)
        #endif
        if count <= 0 { return false }
        done += count
      }
      return true
    }
  }
}

extension [MisbehavingServer.Action] {
  /// A response with any head; `Content-Length` is the body's length where it is not given.
  public static func response(_ status: String, _ fields: [String] = [], _ body: Data = Data()) -> Self {
    var lines = ["HTTP/1.1 \(status)", "Connection: close"] + fields
    if !fields.contains(where: { $0.hasPrefix("Content-Length") }) { lines.append("Content-Length: \(body.count)") }
    return [.send(Data((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)), .send(body)]
  }

  /// What a good server sends for a file: the part that is asked for where its version is still this one.
  ///
  /// - Parameter cut: The connection is closed behind so many bytes of the file.
  public static func file(
    _ data: Data, for request: MisbehavingServer.Request, version: String? = nil, cut: Int? = nil
  ) -> Self {
    let fields = version.map { ["ETag: \($0)"] } ?? []
    var (start, status, range) = (0, "200 OK", [] as [String])
    if let wanted = request.start, request.fields["if-range"] == version || request.fields["if-range"] == nil {
      guard wanted < data.count else {
        return .response("416 Range Not Satisfiable", ["Content-Range: bytes */\(data.count)"])
      }
      start = wanted
      (status, range) = ("206 Partial Content", ["Content-Range: bytes \(start)-\(data.count - 1)/\(data.count)"])
    }
    let end = Swift.max(start, cut ?? data.count)
    return .response(
      status, fields + range + ["Content-Length: \(data.count - start)"],
      data.dropFirst(start).prefix(end - start))
  }
}
