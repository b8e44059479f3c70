// What the compiler may use in the code of each level. instruction_set.c probes for the same.

#pragma once

#define IMSIM_TARGET_AVX2 "avx2,fma"
#define IMSIM_TARGET_AVX512 "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"
#define IMSIM_TARGET_AVX512VNNI "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"
#define IMSIM_TARGET_AVX512BF16 \
  "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx512vbmi"

// One source, a variant for each of some instruction sets, chosen when the program is loaded: before Thread Sanitizer, which
// would be called, is there.
#if defined(__x86_64__) && defined(__linux__) && defined(__clang__) && !__has_feature(thread_sanitizer)
#define IMSIM_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define IMSIM_CLONES
#endif
