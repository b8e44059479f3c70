// The instruction sets that kernels are written for, in ascending order: a processor that has one has all before it.

#pragma once

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

enum {
  // What every processor has.
  IMSIM_LEVEL_PORTABLE = 0,
  // AVX2 and FMA.
  IMSIM_LEVEL_AVX2 = 1,
  // AVX-512 F, BW, DQ and VL.
  IMSIM_LEVEL_AVX512 = 2,
  // And AVX-512 VNNI: sums of products of bytes.
  IMSIM_LEVEL_AVX512VNNI = 3,
  // And AVX-512 BF16 and VBMI: sums of products of bf16, and bytes in any order.
  IMSIM_LEVEL_AVX512BF16 = 4,
  IMSIM_LEVEL_COUNT = 5,
};

// A level's name, as the environment variable IMSIM_ISA spells it: portable, avx2, avx512, avx512vnni, avx512bf16.
const char *imsim_level_name(int level);

// Whether this processor and build have it. Any number may be asked for.
int imsim_level_is_supported(int level);

// The highest level of this processor, or what IMSIM_ISA names if that is lower. Another value of IMSIM_ISA has no effect.
// Chosen once.
int imsim_level_current(void);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
