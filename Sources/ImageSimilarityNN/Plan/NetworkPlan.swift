internal import CSimilarityKernels
package import ImageSimilarityCore

/// A network ready to run: immutable, shared by all workers.
///
/// Batch normalisation is folded into the weights, activations and residual additions into the convolution before them, and
/// every activation tensor has its place in one arena that a worker allocates once.
package final class NetworkPlan: Sendable {
  struct Window: Sendable {
    var inHeight: Int
    var inWidth: Int
    var channels: Int
    var kernel: Int
    var stride: Int
    var padTop: Int
    var padLeft: Int
    var outHeight: Int
    var outWidth: Int

    func kernelWindow(_ input: ArenaLayout.Slot, _ output: ArenaLayout.Slot) -> imsim_spatial_window {
      imsim_spatial_window(
        channels: Int32(channels), in_pixel: input.pixel, in_row: input.row, out_pixel: output.pixel,
        out_row: output.row, in_height: Int32(inHeight), in_width: Int32(inWidth), out_height: Int32(outHeight),
        out_width: Int32(outWidth), kernel: Int32(kernel), stride: Int32(stride), pad_top: Int32(padTop),
        pad_left: Int32(padLeft))
    }
  }

  /// A tensor's border, which is filled before each picture: other tensors may have lain there meanwhile.
  struct BorderFill: Sendable {
    var slot: ArenaLayout.Slot
    var height: Int
    var width: Int
    /// Elements of a pixel, which all hold one value; or, of a picture's own bytes, one element of four.
    var channels: Int
    var elementSize: Int
    var value: UInt32
  }

  struct Task: Sendable {
    var step: Step
    var rows: Range<Int>
    /// The layer whose output's range a calibration takes.
    var observed: Observed?
  }

  struct Observed: Sendable {
    var layer: String
    var output: ArenaLayout.Slot
    var width: Int
    var channels: Int
  }

  struct Block: Sendable {
    var borders: [BorderFill]
    var tasks: [Task]
    var isPerPicture: Bool
  }

  struct Segment: Sendable {
    var group: Int
    var blocks: [Block]
  }

  /// The convolutional map that the output is the mean of.
  struct MapOutput: Sendable {
    var slot: ArenaLayout.Slot
    var height: Int
    var width: Int
    var channels: Int
    var quantization: Quantization?

    var count: Int { height * width * channels }
  }

  let inputSize: PixelSize
  let segments: [Segment]
  let output: ArenaLayout.Slot
  /// Length of the embedding.
  let dimension: Int
  /// nil where the output is no mean of a map.
  let map: MapOutput?
  /// Bytes of a worker's arena: activations, then what steps need beside them.
  let arenaBytes: Int
  let constants: Constants

  /// `@unchecked Sendable`: nobody writes to the memory once the plan is made.
  struct Constants: @unchecked Sendable {
    let memory: AlignedBytes
  }

  /// Prepares the network between the picture and `layer`.
  ///
  /// - Parameter inputSize: The backbone's where nil.
  ///
  /// Throws ``SimilarityError/Code/weightsMismatch`` where the tensors are not exactly those of the network.
  convenience init(
    _ backbone: any Backbone, layer: EmbeddingLayer, parameters: NetworkParameters, preprocessing: Preprocessing,
    precision: Precision, calibration: Calibration?, inputSize: PixelSize? = nil
  ) throws(SimilarityError) {
    try self.init(
      NetworkPath(backbone, layer: layer, parameters: parameters, inputSize: inputSize), parameters: parameters,
      preprocessing: preprocessing, precision: precision, calibration: calibration)
  }

  private init(
    _ path: NetworkPath, parameters: NetworkParameters, preprocessing: Preprocessing, precision: Precision,
    calibration: Calibration?
  ) throws(SimilarityError) {
    precondition(path.output.height == 1 && path.output.width == 1, "an embedding is a vector")
    var compiler = try PlanCompiler(
      input: path.input, nodes: path.nodes, storage: path.storage, output: path.output, parameters: parameters,
      preprocessing: preprocessing, element: Element(precision), calibration: calibration)
    self.segments = try compiler.compile()
    self.inputSize = PixelSize(width: path.input.width, height: path.input.height)
    self.output = compiler.arena.slot(path.output)
    precondition(output.element == .fp32, "the embedding is pooled or linear")
    self.dimension = path.output.channels
    self.map = path.map.map { map in
      MapOutput(
        slot: compiler.arena.slot(map), height: map.height, width: map.width, channels: map.channels,
        quantization: compiler.quantizations[map])
    }
    self.arenaBytes = compiler.arena.count + compiler.scratchBytes
    self.constants = Constants(memory: compiler.constants)
  }

  /// Computes a vector of a network whose inputs are ``NetworkBuilder/argument(shape:)``, once, in fp32.
  package static func evaluate(
    _ network: NetworkBuilder, _ output: NetworkBuilder.Value, weights: any WeightSource, arguments: [[Float]]
  ) throws(SimilarityError) -> [Float] {
    let plan = try NetworkPlan(
      NetworkPath(network, to: output), parameters: NetworkParameters(file: weights), preprocessing: .imagenet,
      precision: .fp32, calibration: nil)
    return plan.run(arguments: arguments)
  }
}
