import Foundation
import ImageSimilarityCore
import ImageSimilarityONNX
import Testing

/// ONNX's own backend tests: graphs with inputs and expected outputs. Debian's package libonnx-testdata has them.
///
/// `Scripts/onnx-conformance` writes what passes to the documentation, and to a list that must not grow shorter.
@Suite struct ConformanceTests {
  /// Folders of test data by the release of ONNX that they are of: Debian's, and that of a wheel, which `Scripts/test` unpacks.
  static let releases: [(name: String, folder: URL)] = [
    ("1.12", "/usr/share/libonnx-testdata/data"), ("1.16", Fixtures.environment["IMSIM_ONNX_TESTDATA"] ?? ""),
  ].map { ($0, URL(fileURLWithPath: $1)) }.filter {
    FileManager.default.fileExists(atPath: $0.1.appending(path: "node").path)
  }

  /// Of networks for classification. None of their tests may fail, or be left out but for the reasons in ``leftOut``.
  static let required: Set = [
    "Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization", "LRN", "Gemm",
    "MatMul",
    "Add", "Mul", "Sub", "Div", "Concat", "Clip", "Relu", "Sigmoid", "HardSwish", "HardSigmoid", "Gelu", "Erf",
    "Softmax",
    "LogSoftmax", "LayerNormalization", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split",
    "Gather", "Shape", "Constant", "ConstantOfShape", "Cast", "ReduceMean", "Resize", "Pad", "QLinearConv",
    "QLinearMatMul", "QuantizeLinear", "DequantizeLinear", "Identity", "Dropout", "Expand", "Tile", "Where", "PRelu",
    "LeakyRelu", "Elu", "Selu", "Sqrt", "Pow", "Exp", "Neg", "Abs", "Max", "Min", "Sum", "Mean", "Tanh", "Reciprocal",
  ]

  /// What networks for classification do not do, by parts of the tests' names: training, strings, indices of maxima, sequences,
  /// optional values, crops that reach over a picture's edges, and numbers of 8 and 4 bits that are no integers of C.
  static let leftOut = [
    "training", "STRING", "maxpool_with_argmax", "identity_sequence", "identity_opt", "tf_crop_and_resize", "FLOAT8",
    "INT4", "e4m3fn", "e5m2", "int4", "blocked",
  ]

  /// Expected numbers that are not the specification's: a mean that counts places beyond the padding, and 8-bit results that wrap
  /// where they are to saturate, for which onnxruntime gives what this package does; and bf16 numbers whose last digits were cut
  /// off instead of rounded, which this package keeps in single precision.
  static let disputed: Set = [
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
    "test_qlinearmatmul_2D_int8_float16",
    "test_qlinearmatmul_2D_int8_float32", "test_qlinearmatmul_3D_int8_float16", "test_qlinearmatmul_3D_int8_float32",
    "test_cast_FLOAT_to_BFLOAT16", "test_castlike_FLOAT_to_BFLOAT16", "test_castlike_FLOAT_to_BFLOAT16_expanded",
  ]

  @Test(.enabled(if: !releases.isEmpty, "needs Debian's package libonnx-testdata"))
  func everythingThatPassedPasses() throws {
    var tables: [(release: String, results: [Conformance.Result])] = []
    for (release, folder) in Self.releases {
      let results = try Conformance.run(folder)
      tables.append((release, results))
      let failed = results.filter { $0.outcome.isFailed && !Self.disputed.contains($0.name) }
      #expect(failed.isEmpty, "\(failed.map { "\($0.name): \($0.outcome)" }.joined(separator: "\n"))")
      let open = results.filter { result in
        result.category == "node" && Self.required.contains(result.operation) && !result.outcome.isPassed
          && !Self.leftOut.contains { result.name.contains($0) } && !Self.disputed.contains(result.name)
      }
      #expect(open.isEmpty, "\(open.map { "\($0.name): \($0.outcome)" }.joined(separator: "\n"))")

      let list = Fixtures.tests.appending(path: "Conformance/passed-\(release).txt")
      let passed = results.filter(\.outcome.isPassed).map { "\($0.category)/\($0.name)" }.sorted()
      if Fixtures.environment["IMSIM_CONFORMANCE_TABLE"] != nil {
        try Data(passed.map { $0 + "\n" }.joined().utf8).write(to: list)
      }
      let known = try String(decoding: Data(contentsOf: list), as: UTF8.self).split(separator: "\n").map(String.init)
      // Another minor release of the data may lack some.
      let there = Set(results.map { "\($0.category)/\($0.name)" })
      let lost = Set(known).intersection(there).subtracting(passed).sorted()
      #expect(lost.isEmpty, "\(lost) do not pass any more")
    }
    if let path = Fixtures.environment["IMSIM_CONFORMANCE_TABLE"] {
      try Data(Conformance.table(tables).utf8).write(to: URL(fileURLWithPath: path))
    }
  }
}

enum Conformance {
  /// How a test passed, or did not.
  enum Outcome: CustomStringConvertible {
    /// With its numbers given when the network runs; with all but the first part of the file; with all part of the file.
    case atRunTime, withConstants, constant
    case failed(String)
    case notSupported(String)

    var isPassed: Bool {
      switch self {
      case .atRunTime, .withConstants, .constant: true
      case .failed, .notSupported: false
      }
    }

    var isFailed: Bool { if case .failed = self { true } else { false } }

    var description: String {
      switch self {
      case .atRunTime: "at run time"
      case .withConstants: "with constants"
      case .constant: "constant"
      case .failed(let reason): "failed: \(reason)"
      case .notSupported(let reason): "not supported: \(reason)"
      }
    }
  }

  struct Result {
    var category: String
    var name: String
    /// Of a graph of one node; of others the test's name.
    var operation: String
    var outcome: Outcome
  }

  static let categories = ["node", "simple", "pytorch-operator", "pytorch-converted", "light"]

  static func run(_ data: URL) throws -> [Result] {
    var results: [Result] = []
    for category in categories {
      let folder = data.appending(path: category)
      guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path) else { continue }
      for name in names.sorted() {
        let isAlone = name.hasSuffix(".onnx")
        let model = folder.appending(path: isAlone ? name : "\(name)/model.onnx")
        guard FileManager.default.fileExists(atPath: model.path) else { continue }
        results.append(run(model, category: category, name: isAlone ? String(name.dropLast(5)) : name))
      }
    }
    return results
  }

  private static func run(_ model: URL, category: String, name: String) -> Result {
    var result = Result(category: category, name: name, operation: name, outcome: .notSupported(""))
    do {
      let graph = try ONNXFile(contentsOf: model, opsets: 1...21).graph
      if graph.nodes.count == 1 { result.operation = graph.nodes[0].operation }
      let sets = category == "light" ? [try rampSet(graph, model)] : try dataSets(graph, model)
      result.outcome = try outcome(graph, sets)
    } catch let error as SimilarityError {
      let folder = model.deletingLastPathComponent().path
      result.outcome = .notSupported(error.message.replacing(folder + "/", with: ""))
    } catch {
      result.outcome = .failed("\(error)")
    }
    return result
  }

  typealias DataSet = (inputs: [String: ONNXTensor], outputs: [ONNXTensor])

  private static func dataSets(_ graph: ONNXGraph, _ model: URL) throws -> [DataSet] {
    var sets: [DataSet] = []
    for number in 0..<100 {
      let set = model.deletingLastPathComponent().appending(path: "test_data_set_\(number)")
      guard FileManager.default.fileExists(atPath: set.path) else { break }
      func tensor(_ kind: String, _ index: Int, _ info: ONNXValueInfo) throws -> ONNXTensor {
        let tensor = try ONNXTensor(contentsOf: set.appending(path: "\(kind)_\(index).pb"))
        guard info.elementType == .bfloat16, tensor.elementType == .uint16 else { return tensor }
        // The data has bf16 numbers as their bits.
        let floats = try tensor.integers().map { Float(bitPattern: UInt32($0) << 16) }
        return ONNXTensor(shape: tensor.shape, floats: floats, elementType: .bfloat16)
      }
      var inputs: [String: ONNXTensor] = [:]
      for (index, input) in graph.inputs.enumerated() { inputs[input.name] = try tensor("input", index, input) }
      sets.append((inputs, try graph.outputs.enumerated().map { try tensor("output", $0, $1) }))
    }
    return sets
  }

  /// The input that ONNX's runner makes for networks that come without: from 0 to 1 in equal steps.
  private static func rampSet(_ graph: ONNXGraph, _ model: URL) throws -> DataSet {
    var inputs: [String: ONNXTensor] = [:]
    for input in graph.inputs {
      let shape = (input.shape ?? []).map { dimension in if case .size(let size) = dimension { size } else { 1 } }
      let count = shape.reduce(1, *)
      inputs[input.name] = ONNXTensor(shape: shape, floats: (0..<count).map { Float(Double($0) / Double(count)) })
    }
    let outputs = try graph.outputs.indices.map { index in
      try ONNXTensor(contentsOf: URL(fileURLWithPath: String(model.path.dropLast(5)) + "_output_\(index).pb"))
    }
    return (inputs, outputs)
  }

  private static func outcome(_ graph: ONNXGraph, _ sets: [DataSet]) throws -> Outcome {
    guard !sets.isEmpty else { return .notSupported("it has no data") }

    var reason = ""
    let first = graph.inputs.first?.name
    for (outcome, bound) in [
      (Outcome.atRunTime, Set<String>()), (.withConstants, Set(graph.inputs.map(\.name).filter { $0 != first })),
      (.constant, Set(graph.inputs.map(\.name))),
    ] {
      do {
        for set in sets {
          if let difference = try difference(graph, bound, set.inputs, set.outputs) { return .failed(difference) }
        }
        return outcome
      } catch let error as SimilarityError {
        if reason.isEmpty { reason = error.message }
      }
    }
    return .notSupported(reason)
  }

  /// Runs a graph with some of its inputs part of it; what differs from the expected outputs, by the tolerances of ONNX's own
  /// runner.
  private static func difference(
    _ graph: ONNXGraph, _ bound: Set<String>, _ inputs: [String: ONNXTensor], _ expected: [ONNXTensor]
  ) throws -> String? {
    var graph = graph
    graph.inputs.removeAll { bound.contains($0.name) }
    for name in bound { graph.initializers[name] = inputs[name] }
    let results = try graph.evaluate(inputs)
    for (output, wanted) in zip(graph.outputs, expected) {
      guard let found = results[output.name] else { return "'\(output.name)' is missing" }
      guard found.shape == wanted.shape else { return "'\(output.name)' is \(found.shape), expected \(wanted.shape)" }
      if found.elementType.isInteger, wanted.elementType.isInteger {
        if try found.integers() != wanted.integers() { return "'\(output.name)' has other integers" }
        continue
      }
      let (x, y) = (try found.floats(), try wanted.floats())
      let isExact = wanted.elementType.isInteger
      for (index, (a, b)) in zip(x, y).enumerated() {
        let isEqual = a == b || (a.isNaN && b.isNaN) || (!isExact && abs(a - b) <= 1e-7 + 1e-3 * abs(b))
        if !isEqual { return "element \(index) of '\(output.name)' is \(a), expected \(b)" }
      }
    }
    return nil
  }

  // MARK: The table

  static func table(_ releases: [(release: String, results: [Result])]) -> String {
    var text = """
      # Conformance

      Which of ONNX's own backend tests pass.

      ## Overview

      `Scripts/onnx-conformance` runs them and writes this page; `Scripts/test` fails where one that passed does not pass any more. Results
      agree within ONNX's tolerances, 1e-3 of a number, and exactly for integers. A test passes at run time where its numbers are given when
      the network runs, as pictures are; with constants where all but its first input are part of the file, as weights are; or as a constant
      where all of it is known when the file is read. The networks of the category "light" are AlexNet, DenseNet-121, Inception v1 and v2,
      ResNet-50, ShuffleNet, SqueezeNet, VGG-19 and ZFNet-512.

      The operators that networks for classification consist of pass all their tests, but for training modes, strings, sequences, optional
      values, indices of maxima, crops that reach over a picture's edges, and numbers of 8 and 4 bits that are no integers of C. What fails are
      expectations that are not the specification's: a mean that counts places beyond the padding, 8-bit results that wrap instead of
      saturating (for both, onnxruntime 1.32 gives what this package does), and bf16 numbers that are cut off instead of rounded, where this
      package keeps single precision.


      """
    for (release, results) in releases { text += section(release, results) }
    return text
  }

  private static func section(_ release: String, _ results: [Result]) -> String {
    var text = "## ONNX \(release)\n\n| tests | passed | failed | not supported |\n|---|---|---|---|\n"
    for category in categories {
      let all = results.filter { $0.category == category }
      guard !all.isEmpty else { continue }
      let (passed, failed) = (all.count(where: \.outcome.isPassed), all.count(where: \.outcome.isFailed))
      text += "| \(category) | \(passed) | \(failed) | \(all.count - passed - failed) |\n"
    }

    let nodes = results.filter { $0.category == "node" }
    let operators = Dictionary(grouping: nodes.filter { !$0.operation.hasPrefix("test_") }, by: \.operation)
    text += "\n| operator | at run time | with constants | as a constant | not passed |\n|---|---|---|---|---|\n"
    for (name, tests) in operators.sorted(by: { $0.key < $1.key }) where tests.contains(where: \.outcome.isPassed) {
      let counts = [
        tests.count { if case .atRunTime = $0.outcome { true } else { false } },
        tests.count { if case .withConstants = $0.outcome { true } else { false } },
        tests.count { if case .constant = $0.outcome { true } else { false } },
        tests.count { !$0.outcome.isPassed },
      ]
      text += "| \(name) | " + counts.map { $0 == 0 ? "" : "\($0)" }.joined(separator: " | ") + " |\n"
    }
    let expanded = nodes.filter { $0.operation.hasPrefix("test_") }
    text +=
      "\nOf \(expanded.count) graphs of several nodes, into which functions are expanded, "
      + "\(expanded.count(where: \.outcome.isPassed)) pass.\n"
    let without = operators.filter { !$0.value.contains(where: \.outcome.isPassed) }.keys.sorted()
    text += "\nNot supported: \(without.joined(separator: ", ")).\n\nTests that do not pass, of operators that do:\n\n"
    for result in nodes where !result.outcome.isPassed && operators[result.operation] != nil {
      guard !without.contains(result.operation) else { continue }
      let reason = result.outcome.description.replacing("\n", with: " ").prefix(140)
      text += "- `\(result.name)`: \(reason)\n"
    }
    return text + "\n"
  }
}
