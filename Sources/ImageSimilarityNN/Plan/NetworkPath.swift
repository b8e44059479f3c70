internal import ImageSimilarityCore

/// The layers of a network that an embedding depends on, with weights that were checked to be theirs.
struct NetworkPath {
  let input: NetworkBuilder.Value
  /// In the order in which they run.
  let nodes: [NetworkBuilder.Node]
  /// The embedding, a vector.
  let output: NetworkBuilder.Value

  /// Throws ``SimilarityError/Code/weightsMismatch`` where the tensors are not exactly those of the network.
  init(_ backbone: any Backbone, layer: EmbeddingLayer, parameters: NetworkParameters) throws(SimilarityError) {
    var network = NetworkBuilder(inputSize: backbone.inputSize)
    let outputs = backbone.build(&network)
    guard let target = layer == .pooled ? outputs.pooled : outputs.scores else {
      throw SimilarityError(.invalidArgument, "\(backbone.name) has no layer '\(layer.rawValue)'")
    }
    precondition(target.height == 1 && target.width == 1, "\(backbone.name): the embedding is a vector")
    input = network.input
    nodes = Self.nodes(of: network, leadingTo: target)
    output = target
    try parameters.check(nodes: nodes, allNodes: network.nodes, backbone: backbone.name, layer: layer)
  }

  /// The layers that `target` depends on, in the order in which they run.
  private static func nodes(
    of network: NetworkBuilder, leadingTo target: NetworkBuilder.Value
  ) -> [NetworkBuilder.Node] {
    var needed: Set = [target]
    var nodes: [NetworkBuilder.Node] = []
    for node in network.nodes.reversed() where needed.contains(node.output) {
      needed.formUnion(node.inputs)
      nodes.append(node)
    }
    return nodes.reversed()
  }
}
