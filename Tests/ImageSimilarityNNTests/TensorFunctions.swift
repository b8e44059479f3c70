import CSimilarityKernels

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A function of one number, in double precision.
struct UnaryFunction: CustomStringConvertible, Sendable {
  var kind: imsim_unary
  var description: String
  var alpha: Float = 0
  var beta: Float = 0
  var relative: Float = 0
  var absolute: Float = 0
  var value: @Sendable (Double) -> Double

  var tolerance: Tolerance { Tolerance(relative, absolute) }
}

private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
private func softplus(_ x: Double) -> Double { x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)) }

/// The least or most of two numbers, NaN where either is.
private func least(_ a: Double, _ b: Double) -> Double { a.isNaN || a < b ? a : b }
private func most(_ a: Double, _ b: Double) -> Double { a.isNaN || a > b ? a : b }
private func clamp(_ x: Double, _ low: Double, _ high: Double) -> Double { x < low ? low : x > high ? high : x }

/// All of them, in the order of `imsim_unary`.
let unaryFunctions: [UnaryFunction] = [
  UnaryFunction(kind: IMSIM_UNARY_CLAMP, description: "clamp", alpha: -1.5, beta: 6) { clamp($0, -1.5, 6) },
  UnaryFunction(
    kind: IMSIM_UNARY_AFFINE, description: "affine", alpha: 0.75, beta: -2, relative: 2e-7, absolute: 1e-6
  ) { 0.75 * $0 - 2 },
  UnaryFunction(kind: IMSIM_UNARY_SIGMOID, description: "sigmoid", relative: 5e-7, absolute: 1e-38, value: sigmoid),
  UnaryFunction(kind: IMSIM_UNARY_TANH, description: "tanh", relative: 5e-7, absolute: 0x1p-146) { tanh($0) },
  UnaryFunction(kind: IMSIM_UNARY_EXP, description: "exp", relative: 5e-7, absolute: 0x1p-146) { exp($0) },
  UnaryFunction(kind: IMSIM_UNARY_LOG, description: "log", relative: 5e-7) { log($0) },
  UnaryFunction(kind: IMSIM_UNARY_SQRT, description: "sqrt", relative: 2e-7) { $0.squareRoot() },
  UnaryFunction(
    kind: IMSIM_UNARY_RECIPROCAL, description: "reciprocal", relative: 2e-7, absolute: 0x1p-146
  ) { 1 / $0 },
  UnaryFunction(kind: IMSIM_UNARY_ABS, description: "abs") { abs($0) },
  UnaryFunction(kind: IMSIM_UNARY_NEG, description: "neg") { -$0 },
  UnaryFunction(kind: IMSIM_UNARY_ERF, description: "erf", relative: 5e-7, absolute: 0x1p-146) { erf($0) },
  UnaryFunction(kind: IMSIM_UNARY_GELU, description: "gelu", relative: 1e-6, absolute: 1e-6) {
    0.5 * $0 * (1 + erf($0 * 0.5.squareRoot()))
  },
  UnaryFunction(kind: IMSIM_UNARY_GELU_TANH, description: "gelu (tanh)", relative: 1e-6, absolute: 1e-6) {
    0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)))
  },
  UnaryFunction(kind: IMSIM_UNARY_SILU, description: "silu", relative: 1e-6, absolute: 1e-36) { $0 / (1 + exp(-$0)) },
  UnaryFunction(kind: IMSIM_UNARY_HARD_SWISH, description: "hardSwish", relative: 1e-6, absolute: 1e-6) {
    $0 * clamp($0 / 6 + 0.5, 0, 1)
  },
  UnaryFunction(
    kind: IMSIM_UNARY_HARD_SIGMOID, description: "hardSigmoid", alpha: 0.2, beta: 0.5, absolute: 1e-6
  ) { clamp(0.2 * $0 + 0.5, 0, 1) },
  UnaryFunction(
    kind: IMSIM_UNARY_LEAKY_RELU, description: "leakyRelu", alpha: 0.25, absolute: .leastNonzeroMagnitude
  ) { $0 < 0 ? 0.25 * $0 : $0 },
  UnaryFunction(kind: IMSIM_UNARY_ELU, description: "elu", alpha: 1.5, relative: 5e-7, absolute: 1e-6) {
    $0 < 0 ? 1.5 * expm1($0) : $0
  },
  UnaryFunction(
    kind: IMSIM_UNARY_SELU, description: "selu", alpha: 1.5, beta: 0.5, relative: 5e-7, absolute: 1e-6
  ) { 0.5 * ($0 < 0 ? 1.5 * expm1($0) : $0) },
  UnaryFunction(
    kind: IMSIM_UNARY_SOFTPLUS, description: "softplus", relative: 5e-7, absolute: 0x1p-143, value: softplus),
  UnaryFunction(kind: IMSIM_UNARY_SOFTSIGN, description: "softsign", relative: 3e-7, absolute: 0x1p-146) {
    $0 / (1 + abs($0))
  },
  UnaryFunction(kind: IMSIM_UNARY_CELU, description: "celu", alpha: 2, relative: 5e-7, absolute: 1e-6) {
    $0 < 0 ? 2 * expm1($0 / 2) : $0
  },
  UnaryFunction(kind: IMSIM_UNARY_THRESHOLDED_RELU, description: "thresholdedRelu", alpha: 1) { $0 <= 1 ? 0 : $0 },
  UnaryFunction(kind: IMSIM_UNARY_FLOOR, description: "floor") { $0.rounded(.down) },
  UnaryFunction(kind: IMSIM_UNARY_CEIL, description: "ceil") { $0.rounded(.up) },
  UnaryFunction(kind: IMSIM_UNARY_ROUND, description: "round") { $0.rounded(.toNearestOrEven) },
  UnaryFunction(kind: IMSIM_UNARY_TRUNCATE, description: "truncate") { $0.rounded(.towardZero) },
  UnaryFunction(kind: IMSIM_UNARY_SIGN, description: "sign") { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 },
  UnaryFunction(kind: IMSIM_UNARY_MISH, description: "mish", relative: 1e-6, absolute: 1e-36) {
    $0 * tanh(softplus($0))
  },
  UnaryFunction(kind: IMSIM_UNARY_SQUARE, description: "square", relative: 2e-7, absolute: 0x1p-146) { $0 * $0 },
]

/// A function of two numbers, in double precision.
struct BinaryFunction: CustomStringConvertible, Sendable {
  var kind: imsim_binary
  var description: String
  var value: @Sendable (Double, Double) -> Double
}

/// All of them, in the order of `imsim_binary`.
let binaryFunctions: [BinaryFunction] = [
  BinaryFunction(kind: IMSIM_BINARY_ADD, description: "add") { $0 + $1 },
  BinaryFunction(kind: IMSIM_BINARY_SUBTRACT, description: "subtract") { $0 - $1 },
  BinaryFunction(kind: IMSIM_BINARY_MULTIPLY, description: "multiply") { $0 * $1 },
  BinaryFunction(kind: IMSIM_BINARY_DIVIDE, description: "divide") { $0 / $1 },
  BinaryFunction(kind: IMSIM_BINARY_POWER, description: "power") { pow($0, $1) },
  BinaryFunction(kind: IMSIM_BINARY_MINIMUM, description: "minimum", value: least),
  BinaryFunction(kind: IMSIM_BINARY_MAXIMUM, description: "maximum", value: most),
  BinaryFunction(kind: IMSIM_BINARY_PRELU, description: "prelu") { $0 < 0 ? $0 * $1 : $0 },
]

/// What becomes of many numbers, in double precision.
struct Reduction: CustomStringConvertible, Sendable {
  var kind: imsim_reduction
  var description: String
  var relative: Float = 0
  var value: @Sendable ([Double]) -> Double

  var tolerance: Tolerance { Tolerance(relative, 0) }
}

/// All of them, in the order of `imsim_reduction`.
let reductions: [Reduction] = [
  Reduction(kind: IMSIM_REDUCTION_MEAN, description: "mean", relative: 4e-6) { $0.reduce(0, +) / Double($0.count) },
  Reduction(kind: IMSIM_REDUCTION_SUM, description: "sum", relative: 4e-6) { $0.reduce(0, +) },
  Reduction(kind: IMSIM_REDUCTION_MAX, description: "max") { $0.reduce(-.infinity, most) },
  Reduction(kind: IMSIM_REDUCTION_MIN, description: "min") { $0.reduce(.infinity, least) },
  Reduction(kind: IMSIM_REDUCTION_PRODUCT, description: "product", relative: 2e-5) { $0.reduce(1, *) },
  Reduction(kind: IMSIM_REDUCTION_SUM_OF_SQUARES, description: "sum of squares", relative: 4e-6) {
    $0.reduce(0) { $0 + $1 * $1 }
  },
  Reduction(kind: IMSIM_REDUCTION_SUM_OF_ABS, description: "sum of absolute values", relative: 4e-6) {
    $0.reduce(0) { $0 + abs($1) }
  },
  Reduction(kind: IMSIM_REDUCTION_SUM_OF_EXP, description: "sum of exponentials", relative: 4e-6) {
    $0.reduce(0) { $0 + exp($1) }
  },
]
