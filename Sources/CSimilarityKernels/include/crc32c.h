// CRC-32C (Castagnoli; RFC 3720, appendix B.4), a checksum for each chunk of some bytes.

#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#endif

// Writes the checksums of `bytes[0, chunk)`, `bytes[chunk, 2 chunk)`... to `checksums`: ceil(count / chunk) of them, the last
// of what is left. `chunk` is at least 1.
void imsim_crc32c_chunks(const uint8_t *bytes, size_t count, size_t chunk, uint32_t *checksums);

// The same without the processor's instruction for it.
void imsim_crc32c_chunks_portable(const uint8_t *bytes, size_t count, size_t chunk, uint32_t *checksums);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif
