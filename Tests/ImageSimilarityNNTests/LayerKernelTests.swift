import CSimilarityKernels
import ImageSimilarityNN
import Testing

/// Every instruction set's variant of every operation against plain Swift, on awkward shapes.
@Suite struct LayerKernelTests {
  /// The variants that this machine can run, of those that there are.
  static let variants = (0..<Int32(IMSIM_ISA_COUNT)).filter { unsafe imsim_layer_kernels_for($0) != nil }

  struct Shape: Sendable, CustomTestStringConvertible {
    var (height, width, channels, kernel, stride, padTop, padLeft): (Int, Int, Int, Int, Int, Int, Int)
    /// Channels of the wider tensor that the operands are slices of.
    var spare = 0

    var outHeight: Int { (height + padTop - kernel + padTop) / stride + 1 }
    var outWidth: Int { (width + padLeft - kernel + padLeft) / stride + 1 }
    var testDescription: String {
      "\(height)x\(width)x\(channels)+\(spare), kernel \(kernel), stride \(stride), padding \(padTop),\(padLeft)"
    }

    var window: imsim_window {
      imsim_window(
        in_height: Int32(height), in_width: Int32(width), channels: Int32(channels), in_stride: channels + spare,
        kernel: Int32(kernel), stride: Int32(stride), pad_top: Int32(padTop), pad_left: Int32(padLeft),
        out_height: Int32(outHeight), out_width: Int32(outWidth), out_stride: channels + spare)
    }
  }

  static let shapes = [
    Shape(height: 1, width: 1, channels: 1, kernel: 1, stride: 1, padTop: 0, padLeft: 0),
    Shape(height: 1, width: 1, channels: 37, kernel: 3, stride: 1, padTop: 1, padLeft: 1),
    Shape(height: 5, width: 7, channels: 3, kernel: 3, stride: 2, padTop: 0, padLeft: 1),
    Shape(height: 9, width: 4, channels: 31, kernel: 5, stride: 2, padTop: 2, padLeft: 2, spare: 5),
    Shape(height: 6, width: 6, channels: 64, kernel: 3, stride: 1, padTop: 1, padLeft: 1),
    Shape(height: 8, width: 11, channels: 33, kernel: 3, stride: 3, padTop: 1, padLeft: 0, spare: 1),
  ]

  /// Small whole numbers: every sum below is exact in fp32, in any order.
  private func values(_ count: Int, _ seed: Int) -> [Float] {
    (0..<count).map { Float((($0 + seed) * 7919 + seed) % 17 - 8) }
  }

  private func kernels(_ variant: Int32) throws -> imsim_layer_kernels {
    unsafe try #require(imsim_layer_kernels_for(variant)?.pointee)
  }

  /// The input element at a position, or nil outside.
  private func element(_ x: [Float], _ s: Shape, _ y: Int, _ column: Int, _ c: Int) -> Float? {
    guard y >= 0, y < s.height, column >= 0, column < s.width else { return nil }
    return x[(y * s.width + column) * (s.channels + s.spare) + c]
  }

  @Test func portableVariantIsAlwaysThere() {
    #expect(Self.variants.contains(0))
    #expect(["portable", "avx2", "avx512", "avx512vnni", "avx512bf16"].contains(NetworkExtractor.instructionSet))
  }

  @Test(arguments: variants, shapes) func depthwise(_ variant: Int32, _ s: Shape) throws {
    let kernels = unsafe try kernels(variant)
    let x = values(s.height * s.width * (s.channels + s.spare), 1)
    let weights = values(s.kernel * s.kernel * s.channels, 2)
    let bias = values(s.channels, 3)
    for (activation, clamp) in [
      (IMSIM_ACTIVATION_NONE, -Float.infinity...Float.infinity), (IMSIM_ACTIVATION_RELU, 0...Float.infinity),
      (IMSIM_ACTIVATION_RELU6, 0...6),
    ] {
      var window = s.window
      var out = [Float](repeating: .nan, count: s.outHeight * s.outWidth * (s.channels + s.spare))
      unsafe kernels.depthwise(&window, x, weights, bias, activation, &out)
      for oy in 0..<s.outHeight {
        for ox in 0..<s.outWidth {
          for c in 0..<s.channels {
            var sum = bias[c]
            for ky in 0..<s.kernel {
              for kx in 0..<s.kernel {
                let input = element(x, s, oy * s.stride - s.padTop + ky, ox * s.stride - s.padLeft + kx, c) ?? 0
                sum += input * weights[(ky * s.kernel + kx) * s.channels + c]
              }
            }
            let expected = min(max(sum, clamp.lowerBound), clamp.upperBound)
            #expect(out[(oy * s.outWidth + ox) * (s.channels + s.spare) + c] == expected)
          }
          for c in s.channels..<s.channels + s.spare {
            #expect(out[(oy * s.outWidth + ox) * (s.channels + s.spare) + c].isNaN, "a neighbour was written")
          }
        }
      }
    }
  }

  @Test(arguments: variants, shapes) func maxPool(_ variant: Int32, _ s: Shape) throws {
    let kernels = unsafe try kernels(variant)
    let x = values(s.height * s.width * (s.channels + s.spare), 4)
    var window = s.window
    var out = [Float](repeating: .nan, count: s.outHeight * s.outWidth * (s.channels + s.spare))
    unsafe kernels.max_pool(&window, x, &out)
    for oy in 0..<s.outHeight {
      for ox in 0..<s.outWidth {
        for c in 0..<s.channels {
          var largest = -Float.infinity
          for ky in 0..<s.kernel {
            for kx in 0..<s.kernel {
              let input = element(x, s, oy * s.stride - s.padTop + ky, ox * s.stride - s.padLeft + kx, c)
              largest = max(largest, input ?? -.infinity)
            }
          }
          #expect(out[(oy * s.outWidth + ox) * (s.channels + s.spare) + c] == largest)
        }
      }
    }
  }

  @Test(arguments: variants, shapes) func im2col(_ variant: Int32, _ s: Shape) throws {
    let kernels = unsafe try kernels(variant)
    let x = values(s.height * s.width * (s.channels + s.spare), 5)
    var window = s.window
    let depth = s.kernel * s.kernel * s.channels
    // All rows but the first, as a product over a part of the picture does.
    for firstRow in 0..<min(2, s.outHeight) {
      var columns = [Float](repeating: .nan, count: (s.outHeight - firstRow) * s.outWidth * depth)
      unsafe kernels.im2col(&window, x, Int32(firstRow), Int32(s.outHeight), &columns)
      var expected: [Float] = []
      for oy in firstRow..<s.outHeight {
        for ox in 0..<s.outWidth {
          for ky in 0..<s.kernel {
            for kx in 0..<s.kernel {
              for c in 0..<s.channels {
                expected.append(
                  element(x, s, oy * s.stride - s.padTop + ky, ox * s.stride - s.padLeft + kx, c) ?? 0)
              }
            }
          }
        }
      }
      #expect(columns == expected)
    }
  }

  @Test(arguments: variants, [1, 15, 16, 33]) func biasActivation(_ variant: Int32, _ channels: Int) throws {
    let kernels = unsafe try kernels(variant)
    let (pixels, stride, residualStride) = (3, channels + 2, channels + 1)
    let before = values(pixels * stride, 6)
    let bias = values(channels, 7)
    let residual = values(pixels * residualStride, 8)
    for hasResidual in [false, true] {
      var out = before
      unsafe residual.withUnsafeBufferPointer { residual in
        unsafe kernels.bias_activation(
          &out, stride, pixels, channels, bias, hasResidual ? residual.baseAddress : nil, residualStride,
          IMSIM_ACTIVATION_RELU6)
      }
      for p in 0..<pixels {
        for c in 0..<channels {
          let sum = before[p * stride + c] + bias[c] + (hasResidual ? residual[p * residualStride + c] : 0)
          #expect(out[p * stride + c] == min(max(sum, 0), 6))
        }
        for c in channels..<stride { #expect(out[p * stride + c] == before[p * stride + c]) }
      }
    }
  }

  @Test(arguments: variants) func globalAveragePool(_ variant: Int32) throws {
    let kernels = unsafe try kernels(variant)
    let (pixels, channels, stride) = (4, 35, 40)
    let x = values(pixels * stride, 9)
    var out = [Float](repeating: .nan, count: channels)
    unsafe kernels.global_average_pool(x, stride, pixels, channels, &out)
    for c in 0..<channels {
      #expect(out[c] == (0..<pixels).reduce(0) { $0 + x[$1 * stride + c] } / 4)
    }
  }

  @Test(arguments: variants, [false, true]) func normalizeRGB(_ variant: Int32, _ swap: Bool) throws {
    let kernels = unsafe try kernels(variant)
    let rgb: [UInt8] = (0..<37 * 3).map { UInt8(truncatingIfNeeded: $0 * 31) }
    let (scale, shift): ([Float], [Float]) = ([0.5, 2, 4], [-1, 3, 0.25])
    var out = [Float](repeating: .nan, count: rgb.count)
    unsafe kernels.normalize_rgb(rgb, &out, 37, scale, shift, swap ? 1 : 0)
    for i in out.indices {
      let (pixel, c) = (i / 3, i % 3)
      #expect(out[i] == Float(rgb[pixel * 3 + (swap ? 2 - c : c)]) * scale[c] + shift[c])
    }
  }

  @Test func packFilters() {
    let (filters, channels, taps) = (5, 3, 4)
    let weights = values(filters * channels * taps, 10)
    let factors = (0..<filters).map { Double($0) - 1.5 }
    var packed = [Float](repeating: .nan, count: weights.count)
    unsafe imsim_pack_filters(weights, filters, channels, taps, factors, &packed)
    for f in 0..<filters {
      for c in 0..<channels {
        for t in 0..<taps {
          #expect(
            packed[(t * channels + c) * filters + f] == weights[(f * channels + c) * taps + t] * Float(factors[f]))
        }
      }
    }
  }

  @Test func firstNotFinite() {
    unsafe #expect(imsim_first_not_finite([1, 2, 3], 3) == 3)
    unsafe #expect(imsim_first_not_finite([1, .nan, .infinity], 3) == 1)
    #expect(imsim_first_not_finite(nil, 0) == 0)
  }
}
