public import ImageSimilarityCore
import ImageSimilarityFiles
public import ImageSimilarityNN
import SwiftProtobuf

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension NetworkExtractor {
  /// Writes the network as an ONNX file (IR version 8, opset 17), for servers in other languages; ONNX Runtime and others run
  /// it.
  ///
  /// - The input `image` is uint8 `[batch, height, width, 3]`, RGB, row-major, of the size in ``specification``; `batch` is
  ///   free. Preprocessing is part of the file.
  /// - The output `embedding` is float32 `[batch, dimension]`, with all of `options` applied.
  /// - The file computes in single precision, so it gives what this extractor gives in ``Precision/fp32``, but for rounding.
  /// - Normalisation is folded into the weights; nothing else is changed.
  ///
  /// The file holds no resizing. What brings a picture of any shape to the input's size is the caller's, and embeddings are
  /// comparable only where it is done as the specification says. <doc:Exporting> shows it. The file's `metadata_props` state
  /// it: `resize`, `background` and `input_size`, beside the `fingerprint` of the network as JSON, `weight_type` and
  /// `transforms`.
  ///
  /// - Throws: ``SimilarityError/Code/inputOutput`` where the file cannot be written; what was there is then as it was.
  ///   ``SimilarityError/Code/invalidArgument`` where the network has layers that cannot be exported, does not fit a file
  ///   (2 GiB), or has weights too large for ``ONNXExportOptions/WeightType/float16``;
  ///   ``SimilarityError/Code/dimensionMismatch`` where a projection is not for vectors of the length that comes to it.
  /// - Complexity: O(weights); memory for one layer's weights, not for the file.
  public func writeONNX(to url: URL, options: ONNXExportOptions = ONNXExportOptions()) throws(SimilarityError) {
    let network = try folded()
    let graph = try ONNXGraphBuilder(network, options)
    let structure = self.structure(graph, network).encoded()
    let graphCount = graph.constants.reduce(structure.count) { $0 + $1.encodedCount }
    let start = try self.model(options).encoded() + ProtobufField.header(7, byteCount: graphCount) + structure
    guard graphCount <= Int(Int32.max) - start.count else {
      throw SimilarityError(
        .invalidArgument, "\(network.architecture) has \(graphCount) bytes as an ONNX file, which may have 2 GiB")
    }

    var file = try AtomicFile(url)
    try unsafe file.append(start.span.bytes)
    for constant in graph.constants { try constant.write(of: network, to: &file) }
    try file.commit()
  }

  /// The file without the graph.
  private func model(_ options: ONNXExportOptions) throws(SimilarityError) -> Onnx_ModelProto {
    var model = Onnx_ModelProto()
    model.irVersion = 8
    model.producerName = "ImageSimilarityKit"
    var operators = Onnx_OperatorSetIdProto()
    operators.version = Int64(ONNXGraphBuilder.opset)
    model.opsetImport = [operators]
    model.docString = documentation

    var fingerprint = specification.fingerprint
    fingerprint.precision = Precision.fp32.rawValue
    let (input, color) = (specification.input, specification.input.background)
    let properties = [
      ("fingerprint", Self.json(fingerprint)),
      ("input_size", input.size.description),
      ("resize", input.resize.rawValue),
      ("background", "\(color.red),\(color.green),\(color.blue)"),
      ("weight_type", options.weightType.rawValue),
      ("transforms", options.transforms.map(\.summary).joined(separator: ",")),
    ]
    model.metadataProps = properties.map { key, value in
      var entry = Onnx_StringStringEntryProto()
      entry.key = key
      entry.value = value
      return entry
    }
    return model
  }

  /// What the model says to people who look into it.
  private var documentation: String {
    let input = specification.input
    let (width, height) = (input.size.width, input.size.height)
    let resizing =
      switch input.resize {
      case .squash: "scaled to it, without regard to the aspect ratio"
      case .crop: "scaled until the shorter side is 256/224 of the input's, and the centre cut out"
      case .pad: "scaled until it fits, and centred on the background colour"
      }
    return """
      Embeddings of pictures (\(specification.fingerprint)). Input '\(ONNXGraphBuilder.inputName)': uint8 \
      [batch, \(height), \(width), 3], sRGB, red first, values from 0 to 255 as they are. A picture of another size is \
      \(resizing), with antialiased bicubic interpolation. Output '\(ONNXGraphBuilder.outputName)': float32 \
      [batch, dimension].
      """
  }

  /// The graph without its constants.
  private func structure(_ graph: ONNXGraphBuilder, _ network: FoldedNetwork) -> Onnx_GraphProto {
    var structure = Onnx_GraphProto()
    structure.name = network.architecture
    structure.node = graph.nodes
    structure.input = [
      Onnx_ValueInfoProto(ONNXGraphBuilder.inputName, .uint8, batchOf: network.input.shape)
    ]
    structure.output = [Onnx_ValueInfoProto(ONNXGraphBuilder.outputName, .float, batchOf: [graph.dimension])]
    return structure
  }

  private static func json(_ fingerprint: ExtractorFingerprint) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(fingerprint), as: UTF8.self)
    } catch {
      preconditionFailure("strings and integers can be encoded: \(error)")
    }
  }
}

extension EmbeddingTransform {
  /// For the file's metadata.
  fileprivate var summary: String {
    switch self {
    case .normalization: "normalization"
    case .projection(let projection): "projection \(projection.matrix.rows)x\(projection.matrix.dimension)"
    }
  }
}

extension Onnx_ValueInfoProto {
  /// A tensor of any number of `shape`.
  fileprivate init(_ name: String, _ type: ONNXElementType, batchOf shape: [Int]) {
    self.init()
    self.name = name
    self.type.tensorType.elemType = type.rawValue
    var batch = Onnx_TensorShapeProto.Dimension()
    batch.dimParam = "batch"
    let sizes = shape.map { size in
      var dimension = Onnx_TensorShapeProto.Dimension()
      dimension.dimValue = Int64(size)
      return dimension
    }
    self.type.tensorType.shape.dim = [batch] + sizes
  }
}
