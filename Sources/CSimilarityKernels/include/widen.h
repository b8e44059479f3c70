#pragma once
#include <stddef.h>
#include <stdint.h>

/// `count` little-endian IEEE 754 half-precision numbers, at any address, as single precision. Exact.
void sim_widen_f16(const void *source, float *target, size_t count);
/// The same without the CPU's conversion instructions.
void sim_widen_f16_portable(const void *source, float *target, size_t count);

/// `count` little-endian bfloat16 numbers, at any address, as single precision. Exact.
void sim_widen_bf16(const void *source, float *target, size_t count);

/// `count` little-endian double-precision numbers, at any address, rounded to single precision (to nearest, ties to
/// even).
void sim_narrow_f64(const void *source, float *target, size_t count);

/// `count` single-precision numbers as half-precision ones, rounded to nearest, ties to even; above 65504 plus half a step they
/// become infinite.
void sim_narrow_f16(const float *source, uint16_t *target, size_t count);
/// The same without the CPU's conversion instructions.
void sim_narrow_f16_portable(const float *source, uint16_t *target, size_t count);
