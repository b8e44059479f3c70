import Benchmark
import CKernels
import COpenBLAS

/// Each kernel that networks are made of, on one thread, on shapes of ResNet-50 and EfficientNet-Lite0; and OpenBLAS on the
/// same products.
///
///     swift package --package-path Benchmarks benchmark --target KernelBenchmarks --filter "convolution fp32.*"
///
/// The environment variable IMSIM_ISA (portable, avx2, avx512, avx512vnni, avx512bf16) lowers the instruction set. Elements
/// that it has no instructions for are left out.
let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(warmupIterations: 1, maxDuration: .milliseconds(500), maxIterations: 2000)
  openblas_set_num_threads(1)

  for shape in ConvolutionShape.resnet50 + ConvolutionShape.efficientNetLite0 {
    for element in Element.native { measureConvolution(shape, element) }
    measureBase(shape)
  }
  for shape in WinogradShape.resnet50 {
    shape.measureInput()
    shape.measureOutput()
  }
  for element in Element.native {
    for shape in SpatialShape.efficientNetLite0 { measureDepthwise(shape, element) }
    for shape in SpatialShape.pools { measureMaxPool(shape, element) }
    measureGlobalAverage(size: 7, channels: 1280, element)
    measureGlobalAverage(size: 7, channels: 2048, element)
    measureInput(size: 224, element)
    measurePacking(ConvolutionShape(size: 7, channels: 512, filters: 2048), element)
  }
  WinogradShape(size: 7, channels: 512).measureWeights()
}
