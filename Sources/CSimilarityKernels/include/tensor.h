// Operations on fp32 tensors of any shape and strides: what networks have besides convolutions and products.
//
// Tensors are a pointer to the first element and, for each axis, a stride in elements, which may be 0 (the axis repeats one
// element) or negative. Results are never where other results or other operands are, unless stated.

#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

enum {
  IMSIM_TENSOR_RANK = 8,
  IMSIM_TENSOR_OPERANDS = 3,
};

// The axes that an operation runs over, and the strides that each operand has along them: operand 0 is the output, 1 and 2 are
// inputs. Strides of operands that an operation lacks are 0. A loop of rank 0 is one element.
typedef struct {
  int rank;
  ptrdiff_t shape[IMSIM_TENSOR_RANK];
  ptrdiff_t strides[IMSIM_TENSOR_OPERANDS][IMSIM_TENSOR_RANK];
} imsim_tensor_loop;

// Brings a loop into the order in which it is fastest: without axes of 1, the output's shortest stride last, neighbours that
// every operand has one after the other merged. No operation depends on the order of axes.
void imsim_tensor_coalesce(imsim_tensor_loop *loop);

// y = f(x), with parameters alpha and beta.
typedef enum {
  IMSIM_UNARY_CLAMP = 0,          // between alpha and beta
  IMSIM_UNARY_AFFINE,             // alpha x + beta
  IMSIM_UNARY_SIGMOID,            // 1 / (1 + exp -x)
  IMSIM_UNARY_TANH,
  IMSIM_UNARY_EXP,
  IMSIM_UNARY_LOG,
  IMSIM_UNARY_SQRT,
  IMSIM_UNARY_RECIPROCAL,
  IMSIM_UNARY_ABS,
  IMSIM_UNARY_NEG,
  IMSIM_UNARY_ERF,
  IMSIM_UNARY_GELU,               // x/2 (1 + erf(x / sqrt 2))
  IMSIM_UNARY_GELU_TANH,          // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  IMSIM_UNARY_SILU,               // x / (1 + exp -x)
  IMSIM_UNARY_HARD_SWISH,         // x clamp(x/6 + 1/2, 0, 1)
  IMSIM_UNARY_HARD_SIGMOID,       // clamp(alpha x + beta, 0, 1)
  IMSIM_UNARY_LEAKY_RELU,         // x, alpha x below 0
  IMSIM_UNARY_ELU,                // x, alpha (exp x - 1) below 0
  IMSIM_UNARY_SELU,               // beta x, beta alpha (exp x - 1) below 0
  IMSIM_UNARY_SOFTPLUS,           // log(1 + exp x)
  IMSIM_UNARY_SOFTSIGN,           // x / (1 + |x|)
  IMSIM_UNARY_CELU,               // x, alpha (exp(x / alpha) - 1) below 0
  IMSIM_UNARY_THRESHOLDED_RELU,   // x, 0 up to alpha
  IMSIM_UNARY_FLOOR,
  IMSIM_UNARY_CEIL,
  IMSIM_UNARY_ROUND,              // ties to even
  IMSIM_UNARY_TRUNCATE,
  IMSIM_UNARY_SIGN,               // -1, 0 or 1
  IMSIM_UNARY_MISH,               // x tanh(log(1 + exp x))
  IMSIM_UNARY_SQUARE,
  IMSIM_UNARY_COUNT,
} imsim_unary;

// y = f(a, b).
typedef enum {
  IMSIM_BINARY_ADD = 0,
  IMSIM_BINARY_SUBTRACT,
  IMSIM_BINARY_MULTIPLY,
  IMSIM_BINARY_DIVIDE,
  IMSIM_BINARY_POWER,             // as C's pow
  IMSIM_BINARY_MINIMUM,           // NaN where either is
  IMSIM_BINARY_MAXIMUM,           // NaN where either is
  IMSIM_BINARY_PRELU,             // a, a b below 0
  IMSIM_BINARY_COUNT,
} imsim_binary;

// Of nothing: NaN, 0, -infinity, infinity, 1, 0, 0, 0.
typedef enum {
  IMSIM_REDUCTION_MEAN = 0,
  IMSIM_REDUCTION_SUM,
  IMSIM_REDUCTION_MAX,            // NaN where any is
  IMSIM_REDUCTION_MIN,            // NaN where any is
  IMSIM_REDUCTION_PRODUCT,
  IMSIM_REDUCTION_SUM_OF_SQUARES,
  IMSIM_REDUCTION_SUM_OF_ABS,
  IMSIM_REDUCTION_SUM_OF_EXP,
  IMSIM_REDUCTION_COUNT,
} imsim_reduction;

typedef enum {
  IMSIM_POOL_MAX = 0,
  IMSIM_POOL_AVERAGE,             // of the elements inside the input
  IMSIM_POOL_AVERAGE_PADDED,      // of those, and of zeros in the padding
  IMSIM_POOL_COUNT,
} imsim_pool;

enum { IMSIM_POOL_RANK = 3 };

// Windows along `rank` axes: element k of window o lies at o * stride - pad_before + k * dilation, inside where that is at least
// 0 and below in_size, in the padding where it is below in_size + pad_after.
typedef struct {
  int rank;
  ptrdiff_t in_size[IMSIM_POOL_RANK], out_size[IMSIM_POOL_RANK], in_stride[IMSIM_POOL_RANK], out_stride[IMSIM_POOL_RANK];
  int kernel[IMSIM_POOL_RANK], stride[IMSIM_POOL_RANK], dilation[IMSIM_POOL_RANK];
  int pad_before[IMSIM_POOL_RANK], pad_after[IMSIM_POOL_RANK];
  int kind;  // an imsim_pool
} imsim_tensor_pool_window;

void imsim_tensor_fill(const imsim_tensor_loop *loop, float value, float *out);

void imsim_tensor_copy(const imsim_tensor_loop *loop, const float *in, float *out);

// `in` may be `out`, with the same strides. Exponentials, logarithms and tanh are within 4 units in the last place, erf within
// 1e-7; NaN stays NaN.
void imsim_tensor_unary(
    imsim_unary f, float alpha, float beta, const imsim_tensor_loop *loop, const float *in, float *out);

// `a` or `b` may be `out`, with the same strides.
void imsim_tensor_binary(
    imsim_binary f, const imsim_tensor_loop *loop, const float *a, const float *b, float *out);

// `loop` runs over the results, `inner` over what makes one result, with strides of operand 1 alone.
void imsim_tensor_reduce(
    imsim_reduction f, const imsim_tensor_loop *loop, const imsim_tensor_loop *inner, const float *in, float *out);

// exp(x) / sum of exp(x), or its logarithm, along an axis of `count` elements; `loop` runs over the other axes. `in` may be
// `out`, with the same strides.
void imsim_tensor_softmax(
    int log, const imsim_tensor_loop *loop, ptrdiff_t count, ptrdiff_t in_stride, ptrdiff_t out_stride, const float *in,
    float *out);

// (x - mean) / sqrt(variance + epsilon) * scale + bias along an axis of `count` elements; `loop` runs over the other axes.
// Scale and bias are contiguous. `in` may be `out`, with the same strides.
void imsim_tensor_layer_norm(
    const imsim_tensor_loop *loop, ptrdiff_t count, ptrdiff_t in_stride, ptrdiff_t out_stride, float epsilon,
    const float *_Nullable scale, const float *_Nullable bias, const float *in, float *out);

// Element i of an axis becomes the sum over t < taps of weights[i * taps + t] times element indices[i * taps + t]; `loop` runs
// over the other axes.
void imsim_tensor_resample(
    const imsim_tensor_loop *loop, ptrdiff_t out_count, ptrdiff_t in_stride, ptrdiff_t out_stride, int taps,
    const int32_t *indices, const float *weights, const float *in, float *out);

// `loop` runs over the axes that have no window. A window without elements has the maximum -infinity and the average NaN.
void imsim_tensor_pool(
    const imsim_tensor_loop *loop, const imsim_tensor_pool_window *window, const float *in, float *out);

// x / (bias + alpha / size * sum of squares)^beta, the sum running from (size - 1) / 2 channels before to size / 2 after, as
// far as there are channels; `loop` runs over the other axes. bias + ... is positive.
void imsim_tensor_lrn(
    const imsim_tensor_loop *loop, ptrdiff_t channels, ptrdiff_t in_stride, ptrdiff_t out_stride, int size, float alpha,
    float beta, float bias, const float *in, float *out);

// What imsim_convolution_pack(IMSIM_ELEMENT_FP32, lanes, ...) makes of k channels and n filters, from a matrix [k, n] of any
// strides.
void imsim_tensor_pack_matrix(
    int lanes, const float *b, ptrdiff_t k_stride, ptrdiff_t n_stride, ptrdiff_t k, ptrdiff_t n, void *packed);

// One instruction set's variants, of which the functions above are the current level's.
typedef struct {
  __typeof__(imsim_tensor_fill) *fill;
  __typeof__(imsim_tensor_copy) *copy;
  __typeof__(imsim_tensor_unary) *unary;
  __typeof__(imsim_tensor_binary) *binary;
  __typeof__(imsim_tensor_reduce) *reduce;
  __typeof__(imsim_tensor_softmax) *softmax;
  __typeof__(imsim_tensor_layer_norm) *layer_norm;
  __typeof__(imsim_tensor_resample) *resample;
  __typeof__(imsim_tensor_pool) *pool;
  __typeof__(imsim_tensor_lrn) *lrn;
} imsim_tensor_kernels;

// The variants of a level of instruction_set.h; NULL where this processor lacks it.
const imsim_tensor_kernels *_Nullable imsim_tensor_kernels_for(int level);
// Those of imsim_level_current().
const imsim_tensor_kernels *imsim_tensor_kernels_current(void);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
