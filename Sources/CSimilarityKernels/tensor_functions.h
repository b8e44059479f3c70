// The functions of tensor.h of one element: plain arithmetic without branches, which compilers turn into vectors.
// Polynomials are minimax fits of our own.

#pragma once

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

INLINE float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// Both keep NaN.
INLINE float at_least(float x, float low) { return x < low ? low : x; }
INLINE float at_most(float x, float high) { return x > high ? high : x; }

#define LN2_HIGH 0x1.62e4p-1f  // short, so that its products with exponents are exact
#define LN2_LOW 0x1.7f7d1cp-20f

INLINE float exponential(float x) {
  const float bounded = at_most(at_least(x, -105), 90);
  // exp x = 2^n exp r with the whole number nearest to x / ln 2, which the sum has in its lowest bits.
  const float shifted = bounded * 0x1.715476p+0f + 0x1.8p23f;
  const float n = shifted - 0x1.8p23f;
  const float r = bounded - n * LN2_HIGH - n * LN2_LOW;
  const float p =
      0x1.fffffcp-2f + r * (0x1.55548ap-3f + r * (0x1.555916p-5f + r * (0x1.123fc6p-7f + r * 0x1.6a1a6ep-10f)));
  // Two powers of two, because one may be out of range where the result is not.
  const int32_t exponent = (int32_t)(bits_of(shifted) - bits_of(0x1.8p23f)), half = exponent >> 1;
  const float first = float_of((uint32_t)(half + 127) << 23), second = float_of((uint32_t)(exponent - half + 127) << 23);
  return (1 + (r + r * r * p)) * first * second;
}

INLINE float logarithm(float x) {
  const int is_subnormal = x < FLT_MIN;
  // x = 2^n (1 + f) with 1 + f between sqrt 1/2 and sqrt 2.
  const uint32_t bits = bits_of(is_subnormal ? x * 0x1p23f : x) - 0x3f3504f3;
  const float n = (float)(((int32_t)bits >> 23) - (is_subnormal ? 23 : 0));
  const float f = float_of((bits & 0x7fffff) + 0x3f3504f3) - 1;
  const float p =
      0x1.555554p-2f
      + f * (-0x1.000228p-2f
             + f * (0x1.99a008p-3f
                    + f * (-0x1.547244p-3f
                           + f * (0x1.22da22p-3f
                                  + f * (-0x1.0d8552p-3f + f * (0x1.055b46p-3f + f * -0x1.38b4ccp-4f))))));
  const float y = f + (f * f * (f * p - 0.5f) + n * LN2_LOW) + n * LN2_HIGH;
  return x > FLT_MAX ? x : x > 0 ? y : x == 0 ? -INFINITY : NAN;
}

INLINE float hyperbolic_tangent(float x) {
  const float a = fabsf(x), u = a * a;
  const float p =
      -0x1.555532p-2f + u * (0x1.110726p-3f + u * (-0x1.b83c58p-5f + u * (0x1.522692p-6f + u * -0x1.75e1a8p-8f)));
  return copysignf(a < 0.625f ? a + a * u * p : 1 - 2 / (exponential(2 * a) + 1), x);
}

INLINE float error_function(float x) {
  // Beyond 4 it is 1.
  const float a = at_most(fabsf(x), 4), u = a * a;
  // erf a / a - 1
  const float p =
      0x1.06eba8p-3f
      + u * (-0x1.81273ep-2f
             + u * (0x1.ce2cf8p-4f
                    + u * (-0x1.b7f90cp-6f + u * (0x1.5405b2p-8f + u * (-0x1.a3f6fcp-11f + u * 0x1.496a28p-14f)))));
  // The logarithm of 1 - erf.
  const float q =
      -0x1.72e404p-12f
      + a * (-0x1.2085b2p+0f
             + a * (-0x1.46c582p-1f
                    + a * (-0x1.a60a94p-4f + a * (0x1.654246p-6f + a * (-0x1.814d22p-9f + a * 0x1.852dc4p-13f)))));
  return copysignf(a < 1 ? a + a * p : 1 - exponential(q), x);
}

// log(1 + t) for t in 0...1.
INLINE float logarithm_of_one_plus(float t) {
  const float u = 1 + t;
  return logarithm(u) + (t - (u - 1)) / u;
}

// tanh(log(1 + w)), times x, of w = exp x.
INLINE float mish(float x) {
  const float w = exponential(at_most(x, 20)), v = w * (w + 2);
  return x * (v / (v + 2));
}

#define FOR_EACH_UNARY(F)                                                                                              \
  F(CLAMP, at_most(at_least(x, alpha), beta))                                                                          \
  F(AFFINE, alpha * x + beta)                                                                                          \
  F(SIGMOID, 1 / (1 + exponential(-x)))                                                                                \
  F(TANH, hyperbolic_tangent(x))                                                                                       \
  F(EXP, exponential(x))                                                                                               \
  F(LOG, logarithm(x))                                                                                                 \
  F(SQRT, __builtin_elementwise_sqrt(x))                                                                               \
  F(RECIPROCAL, 1 / x)                                                                                                 \
  F(ABS, fabsf(x))                                                                                                     \
  F(NEG, -x)                                                                                                           \
  F(ERF, error_function(x))                                                                                            \
  F(GELU, 0.5f * x * (1 + error_function(x * 0x1.6a09e6p-1f)))                                                         \
  F(GELU_TANH, 0.5f * x * (1 + hyperbolic_tangent(0x1.988454p-1f * (x + 0.044715f * x * x * x))))                      \
  F(SILU, x / (1 + exponential(-x)))                                                                                   \
  F(HARD_SWISH, x * at_most(at_least(x * (1.0f / 6) + 0.5f, 0), 1))                                                    \
  F(HARD_SIGMOID, at_most(at_least(alpha * x + beta, 0), 1))                                                           \
  F(LEAKY_RELU, x < 0 ? alpha * x : x)                                                                                 \
  F(ELU, x < 0 ? alpha * (exponential(x) - 1) : x)                                                                     \
  F(SELU, beta * (x < 0 ? alpha * (exponential(x) - 1) : x))                                                           \
  F(SOFTPLUS, at_least(x, 0) + logarithm_of_one_plus(exponential(-fabsf(x))))                                          \
  F(SOFTSIGN, x / (1 + fabsf(x)))                                                                                      \
  F(CELU, x < 0 ? alpha * (exponential(x / alpha) - 1) : x)                                                            \
  F(THRESHOLDED_RELU, x <= alpha ? 0 : x)                                                                              \
  F(FLOOR, floorf(x))                                                                                                  \
  F(CEIL, ceilf(x))                                                                                                    \
  F(ROUND, rintf(x))                                                                                                   \
  F(TRUNCATE, truncf(x))                                                                                               \
  F(SIGN, x > 0 ? 1 : x < 0 ? -1 : x)                                                                                  \
  F(MISH, mish(x))                                                                                                     \
  F(SQUARE, x * x)

#define FOR_EACH_BINARY(F)                                                                                             \
  F(ADD, a + b)                                                                                                        \
  F(SUBTRACT, a - b)                                                                                                   \
  F(MULTIPLY, a * b)                                                                                                   \
  F(DIVIDE, a / b)                                                                                                     \
  F(POWER, powf(a, b))                                                                                                 \
  F(MINIMUM, a < b || a != a ? a : b)                                                                                  \
  F(MAXIMUM, a > b || a != a ? a : b)                                                                                  \
  F(PRELU, a < 0 ? a * b : a)

// The result of nothing, and what one more x makes of the result y.
#define FOR_EACH_REDUCTION(F)                                                                                          \
  F(MEAN, 0, y + x)                                                                                                    \
  F(SUM, 0, y + x)                                                                                                     \
  F(MAX, -INFINITY, x > y || x != x ? x : y)                                                                           \
  F(MIN, INFINITY, x < y || x != x ? x : y)                                                                            \
  F(PRODUCT, 1, y * x)                                                                                                 \
  F(SUM_OF_SQUARES, 0, y + x * x)                                                                                      \
  F(SUM_OF_ABS, 0, y + fabsf(x))                                                                                       \
  F(SUM_OF_EXP, 0, y + exponential(x))
