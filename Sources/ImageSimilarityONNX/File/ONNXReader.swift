import ImageSimilarityCore
import ImageSimilarityFiles

/// Checks the messages of a file, and makes values of them.
struct ONNXReader {
  private let name: String
  var folder: ONNXFolder

  init(_ file: MappedFile) {
    name = file.name
    folder = ONNXFolder(of: file.url)
  }

  mutating func graph(_ model: Onnx_ModelProto, opsets: ClosedRange<Int>) throws(SimilarityError) -> ONNXGraph {
    guard model.hasGraph else { throw corrupt("it has no graph") }
    guard model.irVersion >= ONNXFile.formats.lowerBound, model.irVersion <= ONNXFile.formats.upperBound else {
      throw unsupported("version \(model.irVersion) of the format; expected \(ONNXFile.formats)")
    }
    let opset = try opset(model, opsets)
    try checkNesting(model)

    let proto = model.graph
    var initializers: [String: ONNXTensor] = [:]
    for tensor in proto.initializer {
      guard !tensor.name.isEmpty else { throw corrupt("an initializer has no name") }
      guard initializers.updateValue(try self.tensor(tensor), forKey: tensor.name) == nil else {
        throw corrupt("there are two initializers \(quoted(tensor.name))")
      }
    }
    if let sparse = proto.sparseInitializer.first {
      throw unsupported("sparse tensors (\(quoted(sparse.values.name)))")
    }

    var inputs: [ONNXValueInfo] = []
    for input in proto.input where initializers[input.name] == nil { inputs.append(try valueInfo(input)) }
    var outputs: [ONNXValueInfo] = []
    for output in proto.output { outputs.append(try valueInfo(output)) }
    guard !outputs.isEmpty else { throw corrupt("its graph has no output") }

    var nodes: [ONNXNode] = []
    for node in proto.node { nodes.append(try self.node(node)) }
    let graph = ONNXGraph(
      name: proto.name, opset: opset, inputs: inputs, outputs: outputs, initializers: initializers, nodes: nodes)
    do {
      return try graph.ordered()
    } catch {
      throw corrupt(error.message)
    }
  }

  private func opset(_ model: Onnx_ModelProto, _ supported: ClosedRange<Int>) throws(SimilarityError) -> Int {
    let versions = model.opsetImport.filter { isOwnDomain($0.domain) }.map(\.version)
    guard let version = versions.first else {
      // Only a network that has none of ONNX's own operators may do without.
      if model.graph.node.contains(where: { isOwnDomain($0.domain) }) {
        throw corrupt("it does not say which version of ONNX's operators it uses")
      }
      return supported.upperBound
    }
    guard versions.allSatisfy({ $0 == version }) else {
      throw corrupt("it gives several versions of ONNX's operators: \(versions.prefix(8))")
    }
    guard version >= supported.lowerBound, version <= supported.upperBound else {
      throw unsupported("version \(version) of ONNX's operators (opset); expected \(supported)")
    }
    return Int(version)
  }

  /// Functions and graphs within nodes are not supported: all nodes that use them are named.
  private func checkNesting(_ model: Onnx_ModelProto) throws(SimilarityError) {
    let functions = Set(model.functions.map { [$0.domain, $0.name] })
    var nested: [String] = []
    for node in model.graph.node {
      if functions.contains([node.domain, node.opType]) {
        nested.append("\(label(node)), which is a function of the file")
      } else if let graph = node.attribute.first(where: { [.graph, .graphs].contains($0.type) }) {
        nested.append("\(label(node)), whose attribute \(quoted(graph.name)) is a graph")
      }
    }
    guard !nested.isEmpty else { return }
    let limit = 8
    let more = nested.count > limit ? ", and \(nested.count - limit) more" : ""
    throw unsupported("nodes that hold other nodes: \(nested.prefix(limit).joined(separator: "; "))\(more)")
  }

  private func valueInfo(_ proto: Onnx_ValueInfoProto) throws(SimilarityError) -> ONNXValueInfo {
    guard !proto.name.isEmpty else { throw corrupt("an input or output of its graph has no name") }
    guard proto.type.hasTensorType else { return ONNXValueInfo(name: proto.name, elementType: nil, shape: nil) }
    let type = proto.type.tensorType
    var shape: [ONNXDimension]?
    if type.hasShape {
      var dimensions: [ONNXDimension] = []
      for dimension in type.shape.dim {
        switch dimension.value {
        case .dimValue(let size)?:
          // Some exporters write -1 where a size is unknown.
          guard let size = Int(exactly: size) else { throw corrupt("\(quoted(proto.name)) has a size of \(size)") }
          dimensions.append(size < 0 ? .unknown : .size(size))
        case .dimParam(let symbol)?: dimensions.append(symbol.isEmpty ? .unknown : .symbol(symbol))
        case nil: dimensions.append(.unknown)
        }
      }
      shape = dimensions
    }
    return ONNXValueInfo(name: proto.name, elementType: ONNXElementType(rawValue: type.elemType), shape: shape)
  }

  private mutating func node(_ proto: Onnx_NodeProto) throws(SimilarityError) -> ONNXNode {
    guard !proto.opType.isEmpty else { throw corrupt("node \(quoted(proto.name)) has no operator") }
    var attributes: [String: ONNXAttribute] = [:]
    for attribute in proto.attribute {
      guard attributes.updateValue(try self.attribute(attribute), forKey: attribute.name) == nil else {
        throw corrupt("\(label(proto)) has two attributes \(quoted(attribute.name))")
      }
    }
    return ONNXNode(
      name: proto.name, operation: proto.opType, domain: isOwnDomain(proto.domain) ? "" : proto.domain,
      inputs: proto.input, outputs: proto.output, attributes: attributes)
  }

  private mutating func attribute(_ proto: Onnx_AttributeProto) throws(SimilarityError) -> ONNXAttribute {
    if !proto.refAttrName.isEmpty { return .other("reference to \(quoted(proto.refAttrName))") }
    switch proto.type {
    case .float: return .float(proto.f)
    case .int: return .int(proto.i)
    case .string: return .string(String(decoding: proto.s, as: UTF8.self))
    case .tensor: return .tensor(try tensor(proto.t))
    case .floats: return .floats(proto.floats)
    case .ints: return .ints(proto.ints)
    case .strings: return .strings(proto.strings.map { String(decoding: $0, as: UTF8.self) })
    case .undefined, .graph, .tensors, .graphs, .sparseTensor, .sparseTensors, .typeProto, .typeProtos:
      return .other("\(proto.type)")
    }
  }

  private func isOwnDomain(_ domain: String) -> Bool { domain.isEmpty || domain == "ai.onnx" }

  private func label(_ node: Onnx_NodeProto) -> String { "\(node.opType) \(quoted(node.name))" }

  func corrupt(_ problem: String) -> SimilarityError {
    SimilarityError(.weightsCorrupt, "\(name) is not a valid ONNX file: \(problem)")
  }

  func unsupported(_ what: String) -> SimilarityError {
    SimilarityError(.weightsMismatch, "\(name) has what is not supported: \(what)")
  }
}
