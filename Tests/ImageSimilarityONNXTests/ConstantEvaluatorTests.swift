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
  private static func scalar(_ value: Float) -> ONNXTensor { ONNXTensor(shape: [], floats: [value]) }

  struct Broken: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var operation: String
    var inputs: [ONNXTensor]
    var attributes: [String: ONNXAttribute] = [:]

    init(_ what: String, _ operation: String, _ inputs: [ONNXTensor], _ attributes: [String: ONNXAttribute] = [:]) {
      testDescription = "\(operation): \(what)"
      self.operation = operation
      self.inputs = inputs
      self.attributes = attributes
    }
  }

  static let broken: [Broken] = {
    let three = list(1, 2, 3)
    let none = ONNXTensor(shape: [0], integers: [])
    return [
      Broken("no inputs", "Add", []),
      Broken("huge", "Range", [scalar(0), scalar(Int64.max), scalar(1)]),
      Broken("step of zero", "Range", [scalar(0), scalar(5), scalar(0)]),
      Broken("not a number", "Range", [scalar(Float.nan), scalar(5 as Float), scalar(1 as Float)]),
      Broken("bounds of two types", "Range", [scalar(0), scalar(5 as Float), scalar(1)]),
      Broken("bounds without elements", "Range", [none, scalar(5), scalar(1)]),
      Broken("huge", "ConstantOfShape", [list(1 << 20, 1 << 20)]),
      Broken("sizes that overflow", "ConstantOfShape", [list(.max, .max)]),
      Broken("sizes that overflow beside none", "ConstantOfShape", [list(0, .max, .max)]),
      Broken("a negative size", "ConstantOfShape", [list(-1)]),
      Broken("two negative sizes", "ConstantOfShape", [list(-2, -3)]),
      Broken("a value of two elements", "ConstantOfShape", [three], ["value": .tensor(list(1, 2))]),
      Broken("huge", "Expand", [scalar(1), list(1 << 30)]),
      Broken("a negative size", "Expand", [scalar(1), list(-3)]),
      Broken("sizes that do not fit", "Expand", [three, list(2)]),
      Broken("huge", "Tile", [three, list(1 << 28)]),
      Broken("overflow", "Tile", [three, list(.max)]),
      Broken("a negative number", "Tile", [three, list(-1)]),
      Broken("a number too many", "Tile", [three, list(1, 1)]),
      Broken("by zero", "Div", [three, scalar(0)]),
      Broken("by zero", "Mod", [three, scalar(0)]),
      Broken("two types", "Add", [three, scalar(1 as Float)]),
      Broken("shapes that do not fit", "Add", [three, list(1, 2)]),
      Broken("index beyond", "Gather", [three, list(3)]),
      Broken("index before", "Gather", [three, list(-4)]),
      Broken("least index", "Gather", [three, list(.min)]),
      Broken("indices that are no integers", "Gather", [three, scalar(1 as Float)]),
      Broken("axis beyond", "Gather", [three, list(0)], ["axis": .int(1)]),
      Broken("least axis", "Gather", [three, list(0)], ["axis": .int(.min)]),
      Broken("of a scalar", "Gather", [scalar(1), list(0)]),
      Broken("an axis twice", "Slice", [list(1, 2, 3, 4), list(2, 2), list(4, 4), list(0, 0)]),
      Broken("an axis twice, once from the end", "Slice", [list(1, 2, 3, 4), list(2, 2), list(4, 4), list(0, -1)]),
      Broken("step of zero", "Slice", [three, list(0), list(3), list(0), list(0)]),
      Broken("least step", "Slice", [three, list(0), list(3), list(0), list(.min)]),
      Broken("more ends than starts", "Slice", [three, list(0), list(3, 3)]),
      Broken("parts that are too large", "Split", [three, list(.max, 1)]),
      Broken("negative parts", "Split", [three, list(-1, 4)]),
      Broken("no parts", "Split", [three], ["num_outputs": .int(0)]),
      Broken("more parts than outputs", "Split", [three], ["num_outputs": .int(.max)]),
      Broken("axis before the first", "Flatten", [three], ["axis": .int(-2)]),
      Broken("axis behind the last", "Flatten", [three], ["axis": .int(2)]),
      Broken("two open sizes", "Reshape", [three, list(-1, -1)]),
      Broken("sizes that overflow", "Reshape", [three, list(.max, .max, -1)]),
      Broken("a size below -1", "Reshape", [three, list(-3)]),
      Broken("copies a missing axis", "Reshape", [three, list(3, 0)]),
      Broken("another number", "Reshape", [three, list(2, 2)]),
      Broken("no shape", "Reshape", [three]),
      Broken("an axis of three", "Squeeze", [three, list(0)]),
      Broken("an axis twice", "Unsqueeze", [three, list(0, 0)]),
      Broken("an axis beyond", "Unsqueeze", [three, list(.max)]),
      Broken("no permutation", "Transpose", [three], ["perm": .ints([1])]),
      Broken("axis of another type", "Transpose", [three], ["perm": .float(0)]),
      Broken("other sizes", "Concat", [three, scalar(1)], ["axis": .int(0)]),
      Broken("two types", "Concat", [three, ONNXTensor(shape: [1], floats: [1])], ["axis": .int(0)]),
      Broken("no such type", "Cast", [three], ["to": .int(99)]),
      Broken("to a string", "Cast", [three], ["to": .int(8)]),
      Broken("limits of another type", "Clip", [three], ["min": .float(0)]),
      Broken("no integers", "Sqrt", [three]),
      Broken("axis beyond", "ReduceSum", [three, list(1)]),
      Broken("axis twice", "ReduceSum", [three, list(0, -1)]),
      Broken("scale of integers", "DequantizeLinear", [three, scalar(1)]),
      Broken("to 64 bits", "QuantizeLinear", [scalar(Float.infinity), scalar(1 as Float), scalar(1)]),
      Broken(
        "scales for other axes", "QuantizeLinear",
        [ONNXTensor(shape: [2], floats: [1, 2]), ONNXTensor(shape: [3], floats: [1, 1, 1])]),
      Broken("conditions that are no truth values", "Where", [scalar(1 as Float), three, three]),
      Broken("two types", "Where", [scalar(1), three, scalar(1 as Float)]),
    ]
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
    let least = Self.scalar(Int64.min)
    for (operation, inputs, expected) in [
      ("Add", [Self.scalar(Int64.max), Self.scalar(1)], Int64.min), ("Sub", [least, Self.scalar(1)], .max),
      ("Mul", [Self.scalar(Int64.max), Self.scalar(2)], -2), ("Div", [least, Self.scalar(-1)], .min),
      ("Mod", [least, Self.scalar(-1)], 0), ("Neg", [least], .min), ("Abs", [least], .min),
      ("ReduceSum", [Self.list(.max, 1)], .min), ("ReduceProd", [Self.list(.max, 2)], -2),
    ] {
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
      "Range", [Self.scalar(0 as Float), Self.scalar(-Float.infinity), Self.scalar(1 as Float)])
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
