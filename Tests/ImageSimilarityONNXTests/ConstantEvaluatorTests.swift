import ImageSimilarityCore
import ImageSimilarityONNX
import Testing

/// What ONNX's own tests do not have: files that lie.
@Suite struct ConstantEvaluatorTests {
  private static func node(
    _ operation: String, _ inputs: Int, _ attributes: [String: ONNXAttribute] = [:], outputs: Int = 1
  ) -> ONNXNode {
    ONNXNode(
      name: "", operation: operation, domain: "", inputs: (0..<inputs).map { "x\($0)" },
      outputs: (0..<outputs).map { "y\($0)" }, attributes: attributes)
  }

  private static func evaluate(
    _ operation: String, _ inputs: [ONNXTensor], _ attributes: [String: ONNXAttribute] = [:], outputs: Int = 1
  ) throws(SimilarityError) -> [ONNXTensor] {
    let node = node(operation, inputs.count, attributes, outputs: outputs)
    return try ConstantEvaluator.evaluate(node, inputs, opset: 17) ?? []
  }

  private static func list(_ values: Int64...) -> ONNXTensor { ONNXTensor(shape: [values.count], integers: values) }
  private static func scalar(_ value: Int64) -> ONNXTensor { ONNXTensor(shape: [], integers: [value]) }
  private static func number(_ value: Float) -> ONNXTensor { ONNXTensor(shape: [], floats: [value]) }

  struct Broken: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var operation: String
    var inputs: [ONNXTensor]
    var attributes: [String: ONNXAttribute]
  }

  static let broken: [Broken] = {
    let three = list(1, 2, 3)
    let none = ONNXTensor(shape: [0], integers: [])
    var nodes: [Broken] = []
    func add(_ what: String, _ operation: String, _ inputs: [ONNXTensor], _ attributes: [String: ONNXAttribute] = [:]) {
      nodes.append(
        Broken(testDescription: "\(operation): \(what)", operation: operation, inputs: inputs, attributes: attributes))
    }
    add("no inputs", "Add", [])
    add("huge", "Range", [scalar(0), scalar(.max), scalar(1)])
    add("step of zero", "Range", [scalar(0), scalar(5), scalar(0)])
    add("not a number", "Range", [number(Float.nan), number(5), number(1)])
    add("bounds of two types", "Range", [scalar(0), number(5), scalar(1)])
    add("bounds without elements", "Range", [none, scalar(5), scalar(1)])
    add("huge", "ConstantOfShape", [list(1 << 20, 1 << 20)])
    add("sizes that overflow", "ConstantOfShape", [list(.max, .max)])
    add("sizes that overflow beside none", "ConstantOfShape", [list(0, .max, .max)])
    add("a negative size", "ConstantOfShape", [list(-1)])
    add("two negative sizes", "ConstantOfShape", [list(-2, -3)])
    add("a value of two elements", "ConstantOfShape", [three], ["value": .tensor(list(1, 2))])
    add("huge", "Expand", [scalar(1), list(1 << 30)])
    add("a negative size", "Expand", [scalar(1), list(-3)])
    add("sizes that do not fit", "Expand", [three, list(2)])
    add("huge", "Tile", [three, list(1 << 28)])
    add("overflow", "Tile", [three, list(.max)])
    add("a negative number", "Tile", [three, list(-1)])
    add("a number too many", "Tile", [three, list(1, 1)])
    add("by zero", "Div", [three, scalar(0)])
    add("by zero", "Mod", [three, scalar(0)])
    add("two types", "Add", [three, number(1)])
    add("shapes that do not fit", "Add", [three, list(1, 2)])
    add("index beyond", "Gather", [three, list(3)])
    add("index before", "Gather", [three, list(-4)])
    add("least index", "Gather", [three, list(.min)])
    add("indices that are no integers", "Gather", [three, number(1)])
    add("axis beyond", "Gather", [three, list(0)], ["axis": .int(1)])
    add("least axis", "Gather", [three, list(0)], ["axis": .int(.min)])
    add("of a scalar", "Gather", [scalar(1), list(0)])
    add("an axis twice", "Slice", [list(1, 2, 3, 4), list(2, 2), list(4, 4), list(0, 0)])
    add("an axis twice, once from the end", "Slice", [list(1, 2, 3, 4), list(2, 2), list(4, 4), list(0, -1)])
    add("step of zero", "Slice", [three, list(0), list(3), list(0), list(0)])
    add("least step", "Slice", [three, list(0), list(3), list(0), list(.min)])
    add("more ends than starts", "Slice", [three, list(0), list(3, 3)])
    add("parts that are too large", "Split", [three, list(.max, 1)])
    add("negative parts", "Split", [three, list(-1, 4)])
    add("no parts", "Split", [three], ["num_outputs": .int(0)])
    add("more parts than outputs", "Split", [three], ["num_outputs": .int(.max)])
    add("axis before the first", "Flatten", [three], ["axis": .int(-2)])
    add("axis behind the last", "Flatten", [three], ["axis": .int(2)])
    add("two open sizes", "Reshape", [three, list(-1, -1)])
    add("sizes that overflow", "Reshape", [three, list(.max, .max, -1)])
    add("a size below -1", "Reshape", [three, list(-3)])
    add("copies a missing axis", "Reshape", [three, list(3, 0)])
    add("another number", "Reshape", [three, list(2, 2)])
    add("no shape", "Reshape", [three])
    add("an axis of three", "Squeeze", [three, list(0)])
    add("an axis twice", "Unsqueeze", [three, list(0, 0)])
    add("an axis beyond", "Unsqueeze", [three, list(.max)])
    add("no permutation", "Transpose", [three], ["perm": .ints([1])])
    add("axis of another type", "Transpose", [three], ["perm": .float(0)])
    add("other sizes", "Concat", [three, scalar(1)], ["axis": .int(0)])
    add("two types", "Concat", [three, ONNXTensor(shape: [1], floats: [1])], ["axis": .int(0)])
    add("no such type", "Cast", [three], ["to": .int(99)])
    add("to a string", "Cast", [three], ["to": .int(8)])
    add("limits of another type", "Clip", [three], ["min": .float(0)])
    add("no integers", "Sqrt", [three])
    add("axis beyond", "ReduceSum", [three, list(1)])
    add("axis twice", "ReduceSum", [three, list(0, -1)])
    add("scale of integers", "DequantizeLinear", [three, scalar(1)])
    add("to 64 bits", "QuantizeLinear", [number(Float.infinity), number(1), scalar(1)])
    add(
      "scales for other axes", "QuantizeLinear",
      [ONNXTensor(shape: [2], floats: [1, 2]), ONNXTensor(shape: [3], floats: [1, 1, 1])])
    add("conditions that are no truth values", "Where", [number(1), three, three])
    add("two types", "Where", [scalar(1), three, number(1)])
    return nodes
  }()

  @Test(arguments: broken)
  func nodesThatBreakTheRulesAreErrors(_ node: Broken) {
    let error = #expect(throws: SimilarityError.self) {
      _ = try Self.evaluate(node.operation, node.inputs, node.attributes)
    }
    #expect(error?.message.isEmpty == false)
  }

  /// Sums, products, quotients and differences wrap, as they do in C.
  @Test func integersWrap() throws {
    let least = Self.scalar(.min)
    let cases: [(String, [ONNXTensor], Int64)] = [
      ("Add", [Self.scalar(.max), Self.scalar(1)], .min), ("Sub", [least, Self.scalar(1)], .max),
      ("Mul", [Self.scalar(.max), Self.scalar(2)], -2), ("Div", [least, Self.scalar(-1)], .min),
      ("Mod", [least, Self.scalar(-1)], 0), ("Neg", [least], .min), ("Abs", [least], .min),
      ("ReduceSum", [Self.list(.max, 1)], .min), ("ReduceProd", [Self.list(.max, 2)], -2),
    ]
    for (operation, inputs, expected) in cases {
      #expect(try Self.evaluate(operation, inputs)[0].integers() == [expected], "\(operation)")
    }
    let byte = ONNXTensor(shape: [], integers: [200], elementType: .uint8)
    #expect(try Self.evaluate("Add", [byte, byte])[0].integers() == [144])
  }

  @Test func boundsAreLimited() throws {
    let three = Self.list(1, 2, 3)
    let slices: [(Int64, Int64, Int64, [Int64])] = [
      (.min, .max, 1, [1, 2, 3]), (.max, .min, -1, [3, 2, 1]), (1, .max, .max, [2]), (.max, .max, 1, []),
      (-1, .min, -.max, [3]), (0, 0, 1, []),
    ]
    for (start, end, step, expected) in slices {
      let results = try Self.evaluate(
        "Slice", [three, Self.list(start), Self.list(end), Self.list(0), Self.list(step)])
      #expect(try results[0].integers() == expected, "\(start) \(end) \(step)")
    }
    #expect(try Self.evaluate("Shape", [three], ["start": .int(.min), "end": .int(.max)])[0].integers() == [3])
  }

  @Test func ranges() throws {
    func range(_ start: Int64, _ end: Int64, _ step: Int64) throws -> [Int64] {
      try Self.evaluate("Range", [Self.scalar(start), Self.scalar(end), Self.scalar(step)])[0].integers()
    }
    #expect(try range(.max, .min, 1).isEmpty)
    #expect(try range(16_777_216, 16_777_219, 1) == [16_777_216, 16_777_217, 16_777_218])
    #expect(try range(5, 0, -2) == [5, 3, 1])
    #expect(try range(.max - 1, .min, .min) == [.max - 1, -2])
    let down = try Self.evaluate(
      "Range", [Self.number(0), Self.number(-Float.infinity), Self.number(1)])
    #expect(down[0].shape == [0])
  }

  @Test func castsEndAtTheLimitsOfTheType() throws {
    let x = ONNXTensor(shape: [6], floats: [.nan, .infinity, -.infinity, 1e30, -1.7, 300.9])
    #expect(try Self.evaluate("Cast", [x], ["to": .int(7)])[0].integers() == [0, .max, .min, .max, -1, 300])
    #expect(try Self.evaluate("Cast", [x], ["to": .int(2)])[0].integers() == [0, 255, 0, 255, 0, 255])
    #expect(try Self.evaluate("Cast", [x], ["to": .int(9)])[0].integers() == [1, 1, 1, 1, 1, 1])
  }

  @Test func tensorsWithoutElements() throws {
    let none = ONNXTensor(shape: [2, 0], integers: [])
    #expect(try Self.evaluate("Transpose", [none])[0].shape == [0, 2])
    #expect(try Self.evaluate("Concat", [none, none], ["axis": .int(0)])[0].shape == [4, 0])
    #expect(try Self.evaluate("NonZero", [none])[0].shape == [2, 0])
    #expect(try Self.evaluate("ReduceSum", [none, Self.list(1)], ["keepdims": .int(0)])[0].integers() == [0, 0])
    #expect(try Self.evaluate("ConstantOfShape", [Self.list(0, 5)])[0].shape == [0, 5])
    #expect(try Self.evaluate("Split", [none], ["axis": .int(1)], outputs: 2).map(\.shape) == [[2, 0], [2, 0]])
  }
}
