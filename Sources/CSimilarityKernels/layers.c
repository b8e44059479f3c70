#include "layers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VARIANT(name) name##_portable
#define VARIANT_NAME "portable"
#include "layers_variant.inc"
#undef VARIANT
#undef VARIANT_NAME

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define VARIANT(name) name##_avx2
#define VARIANT_NAME "avx2"
#include "layers_variant.inc"
#undef VARIANT
#undef VARIANT_NAME
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#define VARIANT(name) name##_avx512
#define VARIANT_NAME "avx512"
#include "layers_variant.inc"
#undef VARIANT
#undef VARIANT_NAME
#pragma clang attribute pop
#endif

void imsim_pack_filters(
    const float *weights, ptrdiff_t filters, ptrdiff_t channels, ptrdiff_t taps, const double *factors, float *packed) {
  for (ptrdiff_t f = 0; f < filters; f++) {
    for (ptrdiff_t c = 0; c < channels; c++) {
      for (ptrdiff_t t = 0; t < taps; t++) {
        packed[(t * channels + c) * filters + f] = (float)((double)*weights++ * factors[f]);
      }
    }
  }
}

ptrdiff_t imsim_first_not_finite(const float *values, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    if (!isfinite(values[i])) return i;
  }
  return count;
}

const imsim_layer_kernels *imsim_layer_kernels_for(int isa) {
  switch (isa) {
    case 0: return &layer_kernels_portable;
#if defined(__x86_64__)
    case 1: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &layer_kernels_avx2 : NULL;
    case 2:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                     && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
                 ? &layer_kernels_avx512
                 : NULL;
#endif
    default: return NULL;
  }
}

const imsim_layer_kernels *imsim_layer_kernels_current(void) {
  // Every thread computes the same answer, so a race stores it twice and harms nothing.
  static _Atomic(const imsim_layer_kernels *) chosen;
  if (chosen != NULL) return chosen;
  const char *limit = getenv("IMSIM_ISA");
  const imsim_layer_kernels *best = imsim_layer_kernels_for(0);
  for (int isa = 0; isa < IMSIM_ISA_COUNT; isa++) {
    const imsim_layer_kernels *kernels = imsim_layer_kernels_for(isa);
    if (kernels != NULL) best = kernels;
    if (kernels != NULL && limit != NULL && strcmp(limit, kernels->name) == 0) break;
  }
  return chosen = best;
}
