#include "resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Weights are fixed point; 22 bits leave room for a sum of 8-bit samples whose weights add up to at most 2 in magnitude.
enum { precision = 22 };

// Baseline x86-64 has no 32-bit vector product; the same integers come out of every variant.
#if defined(__x86_64__) && defined(__linux__)
#define VARIANTS __attribute__((target_clones("avx2", "default")))
#else
#define VARIANTS
#endif

static double bicubic(double x) {
  x = fabs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

// Output sample i of an axis is the sum over k of weights[i * stride + k] * input[first[i] + k], 0 <= k < length[i].
// Neither `first` nor `first + length` ever decreases.
typedef struct {
  int *first, *length;
  int32_t *weights;
  size_t stride;
  int size;  // input samples
  // The same weights in the order in which `resample_rgb_avx2` multiplies them: for two output samples at a time, of two
  // taps each, the low 15 bits and the rest as 16-bit numbers. NULL where that is not used.
  int16_t *groups;
  size_t group_stride;  // groups of two output samples
  int vector_count;     // output samples, from the first on, an even number, whose loads stay within a row
} taps;

static void taps_free(taps *t) {
  free(t->first);
  free(t->length);
  free(t->weights);
  free(t->groups);
}

static bool taps_init(taps *t, cvips_axis axis) {
  double scale = (double)axis.size / (double)axis.scaled;
  double width = scale > 1 ? scale : 1;
  double support = 2 * width;
  t->size = (int)axis.size;
  t->stride = (size_t)ceil(support) * 2 + 1;
  if (t->stride > (size_t)axis.size) t->stride = (size_t)axis.size;
  size_t count = (size_t)axis.count;
  t->first = calloc(count, sizeof *t->first);
  t->length = calloc(count, sizeof *t->length);
  t->weights = calloc(count * t->stride, sizeof *t->weights);
  double *exact = calloc(t->stride, sizeof *exact);
  if (!t->first || !t->length || !t->weights || !exact) {
    free(exact);
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    double center = ((double)axis.offset + (double)i + 0.5) * scale;
    double low = center - support + 0.5, high = center + support + 0.5;
    int first = low > 0 ? (int)low : 0;
    int end = high < (double)axis.size ? (int)high : (int)axis.size;
    int length = end - first;
    if (axis.size == axis.scaled) {  // what the kernel comes to there, without the products with zero
      first = (int)axis.offset + (int)i;
      length = 1;
    }
    double sum = 0;
    for (int k = 0; k < length; k++) {
      exact[k] = bicubic((first + k - center + 0.5) / width);
      sum += exact[k];
    }
    int32_t *weights = t->weights + i * t->stride;
    for (int k = 0; k < length; k++) {
      weights[k] = (int32_t)lround(exact[k] / sum * (1 << precision));
    }
    t->first[i] = first;
    t->length[i] = length;
  }
  free(exact);
  return true;
}

#if defined(__x86_64__)
enum { group_taps = 2, group_words = 32 };

// Groups that output samples `i` and `i + 1` need.
static int group_count(const taps *t, int i) {
  int length = t->length[i] > t->length[i + 1] ? t->length[i] : t->length[i + 1];
  return (length + group_taps - 1) / group_taps;
}

// Lays the weights of `count` output samples out in groups. False where there is no memory.
static bool taps_group(taps *t, int count) {
  t->group_stride = (t->stride + group_taps - 1) / group_taps;
  size_t words = ((size_t)count / 2 * t->group_stride + 1) * group_words;
  t->groups = aligned_alloc(32, words * sizeof *t->groups);
  if (!t->groups) return false;
  for (int i = 0; i + 1 < count; i += 2) {
    // A load is of 16 bytes.
    int groups = group_count(t, i);
    int end = (t->first[i + 1] + (groups - 1) * group_taps) * 3 + 16;
    if (end > t->size * 3) break;
    t->vector_count = i + 2;
    for (int half = 0; half < 2; half++) {
      const int32_t *weights = t->weights + (size_t)(i + half) * t->stride;
      int16_t *group = t->groups + (size_t)i / 2 * t->group_stride * group_words + half * 8;
      for (int tap = 0; tap < groups * group_taps; tap++) {
        int32_t weight = tap < t->length[i + half] ? weights[tap] : 0;
        int16_t *word = group + tap / group_taps * group_words + tap % group_taps;
        for (int channel = 0; channel < 4; channel++) {
          word[channel * 2] = (int16_t)(weight & 0x7fff);
          word[channel * 2 + group_words / 2] = (int16_t)(weight >> 15);
        }
      }
    }
  }
  return true;
}
#endif

struct resampler {
  taps x, y;
  int columns, rows, bands;
  int next_in, next_out;  // rows taken, rows written
  uint8_t *row;           // one input row, resampled horizontally
  int32_t *sums;          // `ring` output rows in the making; output row i is in slot i % ring
  int ring;
  uint8_t *out;
};

void resampler_free(resampler *r) {
  if (!r) return;
  taps_free(&r->x);
  taps_free(&r->y);
  free(r->row);
  free(r->sums);
  free(r);
}

// The most output rows that one input row contributes to.
static int largest_overlap(const taps *t, int count) {
  int largest = 1, oldest = 0;
  for (int i = 0; i < count; i++) {
    while (t->first[oldest] + t->length[oldest] <= t->first[i]) oldest++;
    if (i - oldest + 1 > largest) largest = i - oldest + 1;
  }
  return largest;
}

resampler *resampler_new(cvips_axis x, cvips_axis y, int bands, uint8_t *out) {
  resampler *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->columns = (int)x.count;
  r->rows = (int)y.count;
  r->bands = bands;
  r->out = out;
  if (!taps_init(&r->x, x) || !taps_init(&r->y, y)) {
    resampler_free(r);
    return NULL;
  }
  r->ring = largest_overlap(&r->y, r->rows);
  size_t row = (size_t)r->columns * (size_t)bands;
  r->row = calloc(row + 1, 1);
  r->sums = calloc(row * (size_t)r->ring, sizeof *r->sums);
  if (!r->row || !r->sums) {
    resampler_free(r);
    return NULL;
  }
#if defined(__x86_64__)
  // Where there are very many taps, the memory is worth more than the time.
  bool is_grouped = bands == 3 && r->x.stride <= 512 && __builtin_cpu_supports("avx2");
  if (is_grouped && !taps_group(&r->x, r->columns)) {
    resampler_free(r);
    return NULL;
  }
#endif
  return r;
}

static inline uint8_t round_and_clip(int32_t sum) {
  sum >>= precision;
  return sum < 0 ? 0 : sum > 255 ? 255 : (uint8_t)sum;
}

typedef uint8_t bytes4 __attribute__((ext_vector_type(4)));
typedef int32_t sums4 __attribute__((ext_vector_type(4)));

// A pixel is computed in four lanes, whatever its bands: one load, one product and one sum a tap. The loads take up to three
// bytes of the neighbour on the right, which the row's last pixel does not have.
static inline __attribute__((always_inline)) void resample_bands(
    const taps *t, int begin, int count, const int bands, const uint8_t *in, uint8_t *out) {
  for (int i = begin; i < count; i++) {
    const int32_t *weights = t->weights + (size_t)i * t->stride;
    const uint8_t *from = in + (size_t)t->first[i] * (size_t)bands;
    int length = t->length[i];
    int whole = t->size - 3 / bands - t->first[i];
    if (whole > length) whole = length;
    sums4 sum = 1 << (precision - 1);
    int k = 0;
    for (; k < whole; k++) {
      bytes4 pixel;
      memcpy(&pixel, from + k * bands, sizeof pixel);
      sum += weights[k] * __builtin_convertvector(pixel, sums4);
    }
    for (; k < length; k++) {
      bytes4 pixel = 0;
      for (int b = 0; b < bands; b++) pixel[b] = from[k * bands + b];
      sum += weights[k] * __builtin_convertvector(pixel, sums4);
    }
    for (int b = 0; b < bands; b++) out[i * bands + b] = round_and_clip(sum[b]);
  }
}

#if defined(__x86_64__)
// The first `t->vector_count` output pixels, two at a time. Sums wrap around in between, and come out as those of
// `resample_bands`. Writes one byte more than it should, which belongs to the pixel that comes next.
__attribute__((target("avx2"))) static void resample_rgb_avx2(const taps *t, const uint8_t *in, uint8_t *out) {
  // Of two pixels of three bytes, pairs of 16-bit numbers: (r0, r1), (g0, g1), (b0, b1).
  const __m256i pairs =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
  const __m256i half = _mm256_set1_epi32(1 << (precision - 1));
  for (int i = 0; i < t->vector_count; i += 2) {
    const __m256i *weights =
        (const __m256i *)(const void *)(t->groups + (size_t)i / 2 * t->group_stride * group_words);
    const uint8_t *left = in + (size_t)t->first[i] * 3, *right = in + (size_t)t->first[i + 1] * 3;
    __m256i low = _mm256_setzero_si256(), high = low;
    for (int groups = group_count(t, i); groups > 0; groups--, weights += 2, left += 6, right += 6) {
      __m256i pixels = _mm256_set_m128i(
          _mm_loadu_si128((const __m128i *)(const void *)right), _mm_loadu_si128((const __m128i *)(const void *)left));
      pixels = _mm256_shuffle_epi8(pixels, pairs);
      low = _mm256_add_epi32(low, _mm256_madd_epi16(pixels, _mm256_load_si256(weights)));
      high = _mm256_add_epi32(high, _mm256_madd_epi16(pixels, _mm256_load_si256(weights + 1)));
    }
    __m256i sum = _mm256_add_epi32(_mm256_add_epi32(low, half), _mm256_slli_epi32(high, 15));
    sum = _mm256_srai_epi32(sum, precision);
    sum = _mm256_packs_epi32(sum, sum);
    sum = _mm256_packus_epi16(sum, sum);
    int32_t first = _mm_cvtsi128_si32(_mm256_castsi256_si128(sum));
    int32_t second = _mm_cvtsi128_si32(_mm256_extracti128_si256(sum, 1));
    memcpy(out + i * 3, &first, sizeof first);
    memcpy(out + i * 3 + 3, &second, sizeof second);
  }
}
#endif

VARIANTS static void resample_rest(
    const taps *t, int begin, int count, int bands, const uint8_t *in, uint8_t *out) {
  switch (bands) {
    case 1: resample_bands(t, begin, count, 1, in, out); break;
    case 3: resample_bands(t, begin, count, 3, in, out); break;
    default: resample_bands(t, begin, count, 4, in, out); break;
  }
}

static void resample_row(const taps *t, int count, int bands, const uint8_t *in, uint8_t *out) {
#if defined(__x86_64__)
  if (t->groups) resample_rgb_avx2(t, in, out);
#endif
  resample_rest(t, t->vector_count, count, bands, in, out);
}

VARIANTS static void add_weighted(int32_t *sums, const uint8_t *row, int32_t weight, size_t width) {
  for (size_t j = 0; j < width; j++) sums[j] += weight * row[j];
}

VARIANTS static void round_row(const int32_t *sums, uint8_t *out, size_t width) {
  for (size_t j = 0; j < width; j++) out[j] = round_and_clip(sums[j]);
}

void resampler_push(resampler *r, const uint8_t *row) {
  int y = r->next_in++;
  if (resampler_is_done(r) || y < r->y.first[r->next_out]) return;
  resample_row(&r->x, r->columns, r->bands, row, r->row);
  size_t width = (size_t)r->columns * (size_t)r->bands;
  for (int i = r->next_out; i < r->rows && r->y.first[i] <= y; i++) {
    int32_t *sums = r->sums + (size_t)(i % r->ring) * width;
    int k = y - r->y.first[i];
    int32_t weight = r->y.weights[(size_t)i * r->y.stride + (size_t)k];
    if (k == 0) {
      for (size_t j = 0; j < width; j++) sums[j] = 1 << (precision - 1);
    }
    add_weighted(sums, r->row, weight, width);
  }
  while (r->next_out < r->rows && r->y.first[r->next_out] + r->y.length[r->next_out] <= y + 1) {
    const int32_t *sums = r->sums + (size_t)(r->next_out % r->ring) * width;
    round_row(sums, r->out + (size_t)r->next_out * width, width);
    r->next_out++;
  }
}

bool resampler_is_done(const resampler *r) { return r->next_out == r->rows; }

cvips_status cvips_resample_rgb(const uint8_t *pixels, cvips_axis x, cvips_axis y, uint8_t *rgb) {
  resampler *r = resampler_new(x, y, 3, rgb);
  if (!r) return CVIPS_MEMORY;
  for (int64_t i = 0; i < y.size && !resampler_is_done(r); i++) resampler_push(r, pixels + i * x.size * 3);
  resampler_free(r);
  return CVIPS_OK;
}
