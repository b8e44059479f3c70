#pragma once
#include <stddef.h>

/// `count` little-endian IEEE 754 half-precision numbers, at any address, as single precision. Exact.
void sim_widen_f16(const void *source, float *target, size_t count);
/// The same without the CPU's conversion instructions.
void sim_widen_f16_portable(const void *source, float *target, size_t count);

/// `count` little-endian bfloat16 numbers, at any address, as single precision. Exact.
void sim_widen_bf16(const void *source, float *target, size_t count);

/// `count` little-endian double-precision numbers, at any address, rounded to single precision (to nearest, ties to
/// even).
void sim_narrow_f64(const void *source, float *target, size_t count);
