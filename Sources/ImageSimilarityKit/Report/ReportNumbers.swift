extension BinaryFloatingPoint {
  /// In decimal with a fixed number of digits after the point, at least one.
  func decimal(_ digits: Int) -> String {
    let value = Double(self)
    guard value.isFinite, abs(value) < 1e9 else { return "\(value)" }
    let scale = (0..<digits).reduce(1) { scale, _ in scale * 10 }
    let scaled = Int((abs(value) * Double(scale)).rounded())
    let fraction = String(scaled % scale)
    let sign = value < 0 && scaled > 0 ? "\u{2212}" : ""
    return "\(sign)\(scaled / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
  }

  /// Whole per cent; what is not certain is neither 0 nor 100.
  var percent: String {
    let value = Double(self)
    guard value.isFinite else { return "\(value)" }
    if value > 0, value < 0.01 { return "< 1 %" }
    if value < 1, value > 0.99 { return "> 99 %" }
    return "\(Int((min(1, max(0, value)) * 100).rounded())) %"
  }
}
