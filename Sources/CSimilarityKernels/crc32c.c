#include "crc32c.h"

#include <string.h>

#include "instruction_set.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// The polynomial, its bits reversed.
#define POLYNOMIAL 0x82f63b78u

// tables[k][b]: the checksum's change by a byte b with k zero bytes after it.
typedef struct {
  uint32_t tables[8][256];
} slices;

static void make_slices(slices *s) {
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
    s->tables[0][b] = crc;
  }
  for (uint32_t b = 0; b < 256; b++)
    for (int k = 1; k < 8; k++)
      s->tables[k][b] = s->tables[k - 1][b] >> 8 ^ s->tables[0][s->tables[k - 1][b] & 0xff];
}

static uint32_t slice(const slices *s, const uint8_t *bytes, size_t count) {
  uint32_t crc = ~0u;
  for (; count >= 8; bytes += 8, count -= 8) {
    uint64_t word = 0;
    for (int k = 7; k >= 0; k--) word = word << 8 | bytes[k];
    word ^= crc;
    crc = 0;
    for (int k = 0; k < 8; k++) crc ^= s->tables[7 - k][word >> 8 * k & 0xff];
  }
  for (; count > 0; bytes++, count--) crc = crc >> 8 ^ s->tables[0][(crc ^ *bytes) & 0xff];
  return ~crc;
}

void imsim_crc32c_chunks_portable(const uint8_t *bytes, size_t count, size_t chunk, uint32_t *checksums) {
  slices s;
  make_slices(&s);
  for (; count > 0; checksums++) {
    size_t part = count < chunk ? count : chunk;
    *checksums = slice(&s, bytes, part);
    bytes += part;
    count -= part;
  }
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t one(const uint8_t *bytes, size_t count) {
  uint64_t crc = ~0u;
  for (; count >= 8; bytes += 8, count -= 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  for (; count > 0; bytes++, count--) crc = _mm_crc32_u8((uint32_t)crc, *bytes);
  return ~(uint32_t)crc;
}

// The instruction takes three cycles and can begin every cycle, so four chunks go side by side.
__attribute__((target("sse4.2"))) static void chunks_sse42(
    const uint8_t *bytes, size_t count, size_t chunk, uint32_t *checksums) {
  for (; chunk % 8 == 0 && count / 4 >= chunk; bytes += 4 * chunk, count -= 4 * chunk, checksums += 4) {
    uint64_t crcs[4] = {~0u, ~0u, ~0u, ~0u};
    for (size_t i = 0; i < chunk; i += 8)
      for (int lane = 0; lane < 4; lane++) {
        uint64_t word;
        memcpy(&word, bytes + lane * chunk + i, 8);
        crcs[lane] = _mm_crc32_u64(crcs[lane], word);
      }
    for (int lane = 0; lane < 4; lane++) checksums[lane] = ~(uint32_t)crcs[lane];
  }
  for (; count > 0; checksums++) {
    size_t part = count < chunk ? count : chunk;
    *checksums = one(bytes, part);
    bytes += part;
    count -= part;
  }
}

void imsim_crc32c_chunks(const uint8_t *bytes, size_t count, size_t chunk, uint32_t *checksums) {
  // Every processor with AVX2 has SSE4.2.
  if (imsim_level_current() >= IMSIM_LEVEL_AVX2) chunks_sse42(bytes, count, chunk, checksums);
  else imsim_crc32c_chunks_portable(bytes, count, chunk, checksums);
}

#else

void imsim_crc32c_chunks(const uint8_t *bytes, size_t count, size_t chunk, uint32_t *checksums) {
  imsim_crc32c_chunks_portable(bytes, count, chunk, checksums);
}

#endif
