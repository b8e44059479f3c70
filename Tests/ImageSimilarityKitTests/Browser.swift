import Foundation

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// A headless Chromium that is spoken to over its DevTools protocol, in its own folder, for one test.
final class Browser {
  static let path: String? = {
    let named = ProcessInfo.processInfo.environment["IMSIM_CHROMIUM"].map { [$0] } ?? []
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
    return (named + usual).first(where: FileManager.default.isExecutableFile)
  }()

  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  private let folder = FileManager.default.temporaryDirectory.appending(path: "imsim-browser-\(UUID().uuidString)")
  private let process = Process()
  private let input: FileHandle
  private let output: FileHandle
  private var received = Data()
  private var lastID = 0
  private var session = ""
  /// Requests that are not for the page itself or for what is inside of it, exceptions, and what the console was told.
  private(set) var complaints: [String] = []
  private var loads = 0

  init() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let (toPath, fromPath) = (folder.appending(path: "to").path, folder.appending(path: "from").path)
    for path in [toPath, fromPath] {
      guard unsafe mkfifo(path, 0o600) == 0 else { throw Failure(description: "cannot make a pipe at \(path)") }
    }
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = [
      "-c", #"exec "$0" "$@" 3<"$PIPES/to" 4>"$PIPES/from""#, Self.path ?? "", "--headless=new", "--no-sandbox",
      "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe",
      "--user-data-dir=\(folder.appending(path: "profile").path)", "about:blank",
    ]
    process.environment = ProcessInfo.processInfo.environment.merging(["PIPES": folder.path, "HOME": folder.path]) {
      $1
    }
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    // Opened for both, it waits for nobody.
    input = try FileHandle(forUpdating: URL(filePath: toPath))
    try process.run()
    output = try FileHandle(forReadingFrom: URL(filePath: fromPath))
    // A browser that hangs ends, and with it the reading.
    let browser = process
    DispatchQueue.global().asyncAfter(deadline: .now() + 90) { if browser.isRunning { browser.terminate() } }

    let target = try call("Target.createTarget", ["url": "about:blank"])["targetId"] ?? ""
    let attached = try call("Target.attachToTarget", ["targetId": target, "flatten": true])
    session = attached["sessionId"] as? String ?? ""
    for domain in ["Page", "Runtime", "Network", "Log"] { try call("\(domain).enable") }
  }

  deinit {
    if process.isRunning { process.terminate() }
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Opens a page, and waits until all of it is there.
  func open(_ url: URL) throws {
    let before = loads
    try call("Page.navigate", ["url": url.absoluteString])
    while loads == before { try receive() }
  }

  /// The value of an expression, or of its promise.
  @discardableResult
  func evaluate<T>(_ expression: String, as type: T.Type) throws -> T {
    let result = try call(
      "Runtime.evaluate", ["expression": expression, "returnByValue": true, "awaitPromise": true])
    let value = (result["result"] as? [String: Any])?["value"] ?? NSNull()
    guard let typed = value as? T else { throw Failure(description: "\(expression) is \(result)") }
    return typed
  }

  func evaluate(_ expression: String) throws { _ = try evaluate(expression, as: Any.self) }

  func resize(width: Int, height: Int, isPhone: Bool = false) throws {
    try call(
      "Emulation.setDeviceMetricsOverride",
      ["width": width, "height": height, "deviceScaleFactor": 1, "mobile": isPhone])
  }

  func prefer(dark: Bool) throws {
    try call(
      "Emulation.setEmulatedMedia",
      ["features": [["name": "prefers-color-scheme", "value": dark ? "dark" : "light"]]])
  }

  func disableScripts() throws { try call("Emulation.setScriptExecutionDisabled", ["value": true]) }

  /// Presses and releases a key: a letter, or "Enter", "Escape", "Tab", "ArrowLeft" and the like.
  func press(_ key: String) throws {
    let codes = [
      "Enter": 13, "Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
    ]
    var event: [String: Any] = [
      "type": "keyDown", "key": key, "windowsVirtualKeyCode": codes[key] ?? Int(key.uppercased().utf8.first ?? 0),
    ]
    if key.count == 1 { event["text"] = key }
    if key == "Enter" { event["text"] = "\r" }
    try call("Input.dispatchKeyEvent", event)
    event["type"] = "keyUp"
    event["text"] = nil
    try call("Input.dispatchKeyEvent", event)
  }

  /// The window as a PNG file.
  func screenshot() throws -> Data {
    let shot = try call("Page.captureScreenshot", ["format": "png"])["data"] as? String ?? ""
    return Data(base64Encoded: shot) ?? Data()
  }

  @discardableResult
  private func call(_ method: String, _ parameters: [String: Any] = [:]) throws -> [String: Any] {
    lastID += 1
    let id = lastID
    var message: [String: Any] = ["id": id, "method": method, "params": parameters]
    if !session.isEmpty { message["sessionId"] = session }
    try input.write(contentsOf: JSONSerialization.data(withJSONObject: message) + [0])
    while true {
      guard let answer = try receive(), answer["id"] as? Int == id else { continue }
      if let error = answer["error"] { throw Failure(description: "\(method): \(error)") }
      return answer["result"] as? [String: Any] ?? [:]
    }
  }

  /// The next message; events are taken note of.
  @discardableResult
  private func receive() throws -> [String: Any]? {
    while !received.contains(0) {
      let data = output.availableData
      if data.isEmpty { throw Failure(description: "the browser has ended") }
      received += data
    }
    let end = received.firstIndex(of: 0) ?? received.endIndex
    let message = try JSONSerialization.jsonObject(with: received[..<end]) as? [String: Any]
    received = Data(received[(end + 1)...])
    let parameters = message?["params"] as? [String: Any]
    switch message?["method"] as? String {
    case "Page.loadEventFired": loads += 1
    case "Network.requestWillBeSent":
      let url = (parameters?["request"] as? [String: Any])?["url"] as? String ?? ""
      if !url.hasPrefix("file:"), !url.hasPrefix("data:") { complaints.append("request of \(url)") }
    case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded":
      complaints.append("\(parameters ?? [:])")
    default: break
    }
    return message
  }
}
