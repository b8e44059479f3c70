#include "instruction_set.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[IMSIM_LEVEL_COUNT] = {"portable", "avx2", "avx512", "avx512vnni", "avx512bf16"};

const char *imsim_level_name(int level) { return names[level]; }

int imsim_level_is_supported(int level) {
#if defined(__x86_64__)
  // As in targets.h.
  switch (level) {
    case IMSIM_LEVEL_PORTABLE: return 1;
    case IMSIM_LEVEL_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case IMSIM_LEVEL_AVX512:
      return imsim_level_is_supported(IMSIM_LEVEL_AVX2) && __builtin_cpu_supports("avx512f")
             && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
             && __builtin_cpu_supports("avx512vl");
    case IMSIM_LEVEL_AVX512VNNI:
      return imsim_level_is_supported(IMSIM_LEVEL_AVX512) && __builtin_cpu_supports("avx512vnni");
    case IMSIM_LEVEL_AVX512BF16:
      return imsim_level_is_supported(IMSIM_LEVEL_AVX512VNNI) && __builtin_cpu_supports("avx512bf16")
             && __builtin_cpu_supports("avx512vbmi");
    default: return 0;
  }
#else
  return level == IMSIM_LEVEL_PORTABLE;
#endif
}

static int choose(void) {
  int level = IMSIM_LEVEL_COUNT - 1;
  const char *limit = getenv("IMSIM_ISA");
  for (int named = 0; limit != NULL && named < IMSIM_LEVEL_COUNT; named++) {
    if (strcmp(limit, names[named]) == 0) level = named;
  }
  while (!imsim_level_is_supported(level)) level--;
  return level;
}

int imsim_level_current(void) {
  // One more than the level. Every thread computes the same answer, so a race stores it twice and harms nothing.
  static _Atomic int chosen;
  if (chosen == 0) chosen = choose() + 1;
  return chosen - 1;
}
