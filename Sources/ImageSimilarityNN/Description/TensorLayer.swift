extension NetworkBuilder {
  /// A function of one element.
  package enum Unary: Sendable, Hashable {
    /// `min(max(low, x), high)`
    case clamp(Float, Float)
    /// `scale * x + shift`
    case affine(scale: Float, shift: Float)
    case sigmoid, tanh, exp, log, sqrt, reciprocal, abs, neg, erf
    /// `x * P(X <= x)`, X normally distributed; and its approximation by tanh.
    case gelu, geluTanh
    case silu, hardSwish
    case hardSigmoid(alpha: Float, beta: Float)
    case leakyRelu(slope: Float)
    case elu(alpha: Float)
    case selu(alpha: Float, gamma: Float)
    case softplus, softsign
    case celu(alpha: Float)
    case thresholdedRelu(alpha: Float)
    case floor, ceil
    /// To the nearest whole number, halves to the even one.
    case round
    case truncate, sign, mish, square
  }

  /// A function of two elements.
  package enum Binary: Sendable, Hashable {
    case add, subtract, multiply, divide, power, minimum, maximum
    /// `a < 0 ? a * b : a`
    case prelu
  }

  /// A function of many elements.
  package enum Reduction: Sendable, Hashable {
    case mean, sum, max, min, product, sumOfSquares, sumOfAbs
  }

  package enum PoolKind: Sendable, Hashable {
    case max
    /// The mean of what lies inside, or of all places of the window, of which those of the padding are zero.
    case average(countsPadding: Bool)
  }

  /// A window along each of a tensor's spatial axes.
  struct Pool: Sendable, Hashable {
    var kind: PoolKind
    var kernel: [Int]
    var stride: [Int]
    var dilation: [Int]
    var padBefore: [Int]
    /// As far as the padding reaches, which the mean may count.
    var padAfter: [Int]
  }

  enum TensorOperation: Sendable, Hashable {
    /// Each operand is copied to its place; what no operand covers becomes `fill`, where there is one.
    case assemble(fill: Float?)
    case unary(Unary)
    case binary(Binary)
    /// Over the axes that the operand has and the result has one element of.
    case reduce(Reduction)
    case softmax(axis: Int, log: Bool)
    /// Over the last axis; the operands after the first are scale and bias, as far as there are.
    case layerNormalization(epsilon: Float, hasScale: Bool, hasBias: Bool)
    case resample(axis: Int, indices: [[Int]], weights: [[Float]])
    case pool(Pool)
    case localResponseNormalization(size: Int, alpha: Float, beta: Float, bias: Float)
    case matrixProduct
  }

  /// An operation on tensors of any shape.
  package struct TensorLayer: Sendable {
    var operation: TensorOperation
    var operands: [Tensor]
    /// Where the result lies in the layer's value; of an assembly, where each operand goes.
    var results: [Tensor]

    /// The axis that runs over the rows of the result's value, where each row can be computed by itself.
    var rowAxis: Int? {
      guard let value = results[0].value, value.height > 1, results[0].offset == .zero,
        let axis = results[0].strides.firstIndex(of: .oneRow), results[0].shape[axis] == value.height,
        results[0].strides.count(where: { $0.row != 0 }) == 1
      else { return nil }
      switch operation {
      case .unary, .binary: return axis
      case .softmax(let along, _): return along == axis ? nil : axis
      case .layerNormalization: return axis == results[0].shape.count - 1 ? nil : axis
      case .assemble, .reduce, .resample, .pool, .localResponseNormalization, .matrixProduct: return nil
      }
    }

    /// Rows of `value`, from the top, that the first `rows` rows of the result depend on.
    func rowsRead(of value: Value, forRows rows: Int) -> Int {
      guard let axis = rowAxis else { return value.height }
      let isRowByRow = operands.allSatisfy { operand in
        operand.value != value
          || operand.offset == .zero && operand.shape.count > axis && operand.strides[axis] == .oneRow
            && operand.strides.count(where: { $0.row != 0 }) == 1
      }
      return isRowByRow ? rows : value.height
    }

    var name: String {
      let text = "\(operation)"
      return String(text.prefix { $0 != "(" })
    }
  }
}
