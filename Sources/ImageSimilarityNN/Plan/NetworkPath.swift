internal import ImageSimilarityCore

/// The layers of a network that an embedding depends on.
struct NetworkPath {
  let input: NetworkBuilder.Value
  /// In the order in which they run.
  let nodes: [NetworkBuilder.Node]
  let storage: NetworkBuilder.ValueStorage
  /// The embedding.
  let output: NetworkBuilder.Value

  /// The map that the embedding is the mean of; nil where it is something else.
  var map: NetworkBuilder.Value? {
    guard let last = nodes.last, case .globalAveragePool = last.layer else { return nil }
    return last.inputs[0]
  }

  init(_ network: NetworkBuilder, to output: NetworkBuilder.Value) {
    var needed: Set = [output]
    var nodes: [NetworkBuilder.Node] = []
    for node in network.nodes.reversed() where needed.contains(node.output) {
      needed.formUnion(node.inputs)
      nodes.append(node)
    }
    input = network.input
    self.nodes = nodes.reversed()
    storage = network.storage
    self.output = output
  }

  /// Throws ``SimilarityError/Code/weightsMismatch`` where the tensors are not exactly those of the network.
  init(
    _ backbone: any Backbone, layer: EmbeddingLayer, parameters: NetworkParameters, inputSize: PixelSize? = nil
  ) throws(SimilarityError) {
    var network = NetworkBuilder(inputSize: inputSize ?? backbone.inputSize)
    let outputs = backbone.build(&network)
    guard let target = layer == .pooled ? outputs.pooled : outputs.scores else {
      throw SimilarityError(.invalidArgument, "\(backbone.name) has no layer '\(layer.rawValue)'")
    }
    self.init(network, to: target)
    try parameters.check(nodes: nodes, allNodes: network.nodes, backbone: backbone.name, layer: layer)
  }
}
