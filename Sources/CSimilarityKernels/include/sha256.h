#pragma once
#include <stdbool.h>
#include <stddef.h>

/// SHA-256 (FIPS 180-4) of `count` bytes.
void sim_sha256_portable(const void *bytes, size_t count, unsigned char digest[32]);

/// Whether this CPU has SHA-256 instructions that sim_sha256_native knows.
bool sim_sha256_native_available(void);

/// The same, with the CPU's SHA-256 instructions. Only where they are available.
void sim_sha256_native(const void *bytes, size_t count, unsigned char digest[32]);
