// A narrow, opaque door to libvips: no GObject and no libvips type passes through it.
//
// - Every buffer belongs to the caller, except where `cvips_free` is named.
// - A function that can fail returns a `cvips_status` and, unless it is CVIPS_OK, writes a reason of at most
//   `capacity - 1` bytes and a terminating zero to `message`; the reason is libvips's own text, unfiltered.
// - `cvips_configure` comes before everything else.
// - All functions may be called from several threads.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
  CVIPS_OK = 0,
  CVIPS_UNREADABLE,   // reading the file failed
  CVIPS_UNSUPPORTED,  // no loader takes it
  CVIPS_CORRUPT,      // the loader gave up
  CVIPS_TIMEOUT,      // the deadline passed
  CVIPS_MEMORY,       // no memory
  CVIPS_UNAVAILABLE,  // libvips does not start
} cvips_status;

// Process-wide.

typedef struct {
  int concurrency;
  bool caches_operations, blocks_untrusted, reports_leaks;
} cvips_configuration;

// Sets how libvips works, now or as soon as it is started.
void cvips_configure(cvips_configuration configuration);
// Starts libvips where it is not running yet, and silences its log domain, which would print to stderr. Takes tens of
// milliseconds, so that pictures that can do without libvips do not start it; all others do.
cvips_status cvips_start(char *message, size_t capacity);
const char *cvips_version(void);
void cvips_free(void *memory);
// Microseconds of the monotonic clock that deadlines are given in.
int64_t cvips_now(void);

// The memory of all decodes at once, as far as they say what they need.

// Waits until `bytes` more fit under `capacity`, or nobody else holds any.
void cvips_memory_acquire(int64_t bytes, int64_t capacity);
void cvips_memory_release(int64_t bytes);

// Files.

// Opens a regular file for reading and stores its size. Never waits: FIFOs, devices, sockets and directories are refused.
// Returns the descriptor, or -1 and a reason.
int cvips_file_open(const char *path, int64_t *size, char *message, size_t capacity);
void cvips_file_close(int descriptor);

// Nanoseconds of processor time that the calling thread has spent on opening and reading picture files since it began.
int64_t cvips_thread_read_time(void);

// Pictures.

typedef struct cvips_picture cvips_picture;

typedef struct {
  int32_t width, height, bands;
  int32_t bytes_per_sample;
  int32_t orientation;  // EXIF, 1 to 8
  int32_t frames;       // or pages
  bool interlaced;      // the loader needs the whole picture before it has the first row
  bool subsampled;      // JPEG: the colour channels have half the width and height
} cvips_header;

// One axis of a resampling: `size` samples are scaled to `scaled`, of which `count` are wanted, from `offset` on.
typedef struct {
  int64_t size, scaled, offset, count;
} cvips_axis;

// Finds the loader of the encoded picture in `descriptor`, or, where that is negative, in `bytes`. Both have `length`
// bytes and stay open and unchanged until `cvips_picture_close`. Reads only what tells the format.
cvips_status cvips_picture_open(
    int descriptor, const void *bytes, int64_t length, int64_t deadline, cvips_picture **picture, char *message,
    size_t capacity);
void cvips_picture_close(cvips_picture *picture);

// Replaces the deadline.
void cvips_picture_set_deadline(cvips_picture *picture, int64_t deadline);

// The loader's name without what follows the format: "jpeg", "png", "webp", "tiff", "gif", "heif" ...
const char *cvips_picture_format(const cvips_picture *picture);

// Reads the header, of the first frame or page, shrunk by `shrink` (JPEG: 1, 2, 4, 8; WebP: any; others: 1).
cvips_status cvips_picture_header(
    cvips_picture *picture, int shrink, cvips_header *header, char *message, size_t capacity);

// Decodes the picture whose header was read last, resamples it and writes `y.count * x.count * 3` bytes of sRGB, not yet
// turned upright, each row `row_bytes` after the one above. `background` has 3 bytes.
cvips_status cvips_picture_decode(
    cvips_picture *picture, cvips_axis x, cvips_axis y, const uint8_t *background, uint8_t *rgb, int64_t row_bytes,
    char *message, size_t capacity);

// Instruction sets of the resampler, from the one that runs everywhere on: portable, AVX2, AVX-512 with VNNI.
enum { CVIPS_RESAMPLING_LEVELS = 3 };
bool cvips_resampling_runs(int level);
// The best that runs here, or the one that the environment variable IMSIM_ISA names: portable, avx2, avx512.
int cvips_resampling_level(void);

// Resamples `y.size * x.size * bands` bytes (`bands`: 1, 3 or 4) into `y.count * x.count * bands`, each row `row_bytes` after
// the one above. `level` is one that runs here.
cvips_status cvips_resample(
    const uint8_t *pixels, int bands, cvips_axis x, cvips_axis y, uint8_t *out, int64_t row_bytes, int level);

// Writing.

// Encodes `height * width * 3` bytes as JPEG of `quality` 1 to 100, or as PNG where `quality` is 0. `cvips_free` the result.
cvips_status cvips_encode_rgb(
    const uint8_t *rgb, int width, int height, int quality, uint8_t **bytes, size_t *length, char *message,
    size_t capacity);

typedef struct {
  int32_t width, height;  // of the mask
  int32_t left, top;      // where the mask lies, from the left end of the line and the top of its ascenders
} cvips_text_box;

// Draws one line of Pango markup as `height * width` bytes of coverage, 0 to 255. `cvips_free` the result.
cvips_status cvips_text(
    const char *markup, const char *font, uint8_t **mask, cvips_text_box *box, char *message, size_t capacity);
