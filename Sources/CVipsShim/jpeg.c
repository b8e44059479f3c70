#include "jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// After stdio.h, whose types it uses.
#include <jpeglib.h>

struct jpeg_decoder {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source;
  jmp_buf failure;
  jpeg_reader read;
  void *context;
  int orientation;
  uint8_t buffer[1 << 16];
};

// What libjpeg calls

static void fail(j_common_ptr info) { longjmp(((jpeg_decoder *)info->client_data)->failure, 1); }

// Warnings are counted, not printed.
static void count_message(j_common_ptr info, int level) {
  if (level < 0) info->err->num_warnings++;
}

static void do_nothing(j_decompress_ptr info) { (void)info; }

static boolean fill_buffer(j_decompress_ptr info) {
  jpeg_decoder *d = info->client_data;
  int64_t count = d->read(d->context, d->buffer, sizeof d->buffer);
  if (count <= 0) fail((j_common_ptr)info);
  d->source.next_input_byte = d->buffer;
  d->source.bytes_in_buffer = (size_t)count;
  return TRUE;
}

static void skip_bytes(j_decompress_ptr info, long count) {
  jpeg_decoder *d = info->client_data;
  if (count <= 0) return;
  while ((size_t)count > d->source.bytes_in_buffer) {
    count -= (long)d->source.bytes_in_buffer;
    fill_buffer(info);
  }
  d->source.next_input_byte += count;
  d->source.bytes_in_buffer -= (size_t)count;
}

// Header

// The orientation that an EXIF marker states, 1 where it states none; 0 where it is not as it should be.
static int exif_orientation(const uint8_t *bytes, size_t length) {
  enum { start = 6, entry_size = 12, orientation_tag = 0x0112, short_type = 3 };
  if (length < start + 8) return 0;
  const uint8_t *tiff = bytes + start;
  length -= start;
  bool is_big = memcmp(tiff, "MM\0*", 4) == 0;
  if (!is_big && memcmp(tiff, "II*\0", 4) != 0) return 0;
#define U16(at) (is_big ? (uint32_t)tiff[at] << 8 | tiff[(at) + 1] : (uint32_t)tiff[(at) + 1] << 8 | tiff[at])
#define U32(at) (is_big ? U16(at) << 16 | U16((at) + 2) : U16((at) + 2) << 16 | U16(at))
  size_t directory = U32(4);
  if (directory < 8 || directory > length - 2) return 0;
  size_t count = U16(directory);
  if (count * entry_size > length - 2 - directory) return 0;
  int orientation = 1;
  bool is_found = false;
  for (size_t i = 0; i < count; i++) {
    size_t entry = directory + 2 + i * entry_size;
    if (U16(entry) != orientation_tag) continue;
    uint32_t value = U16(entry + 8);
    if (is_found || U16(entry + 2) != short_type || U32(entry + 4) != 1 || value < 1 || value > 8) return 0;
    orientation = (int)value;
    is_found = true;
  }
#undef U16
#undef U32
  return orientation;
}

static bool is_plain(jpeg_decoder *d) {
  struct jpeg_decompress_struct *info = &d->info;
  // Several scans mean that the whole picture is decoded before its first row, perhaps many times.
  bool is_color = info->num_components == 3 && info->jpeg_color_space == JCS_YCbCr;
  bool is_grey = info->num_components == 1 && info->jpeg_color_space == JCS_GRAYSCALE;
  if (!(is_color || is_grey) || info->data_precision != 8 || info->progressive_mode || info->arith_code ||
      jpeg_has_multiple_scans(info)) {
    return false;
  }
  info->out_color_space = JCS_RGB;
  bool has_exif = false;
  for (jpeg_saved_marker_ptr marker = info->marker_list; marker; marker = marker->next) {
    if (marker->marker == JPEG_APP0 + 2) return false;  // a profile, most likely
    if (marker->data_length < 6 || memcmp(marker->data, "Exif\0", 6) != 0) continue;
    if (has_exif) return false;
    has_exif = true;
    d->orientation = exif_orientation(marker->data, marker->data_length);
    if (d->orientation == 0) return false;
  }
  return info->err->num_warnings == 0;
}

jpeg_decoder *jpeg_open(jpeg_reader read, void *context) {
  jpeg_decoder *d = malloc(sizeof *d);
  if (!d) return NULL;
  memset(d, 0, offsetof(jpeg_decoder, buffer));
  d->read = read;
  d->context = context;
  d->orientation = 1;
  d->info.err = jpeg_std_error(&d->errors);
  d->errors.error_exit = fail;
  d->errors.emit_message = count_message;
  d->info.client_data = d;
  if (setjmp(d->failure)) {
    jpeg_close(d);
    return NULL;
  }
  jpeg_create_decompress(&d->info);
  d->source.init_source = do_nothing;
  d->source.term_source = do_nothing;
  d->source.fill_input_buffer = fill_buffer;
  d->source.skip_input_data = skip_bytes;
  d->source.resync_to_restart = jpeg_resync_to_restart;
  d->info.src = &d->source;
  jpeg_save_markers(&d->info, JPEG_APP0 + 1, 0xffff);
  jpeg_save_markers(&d->info, JPEG_APP0 + 2, 1);
  if (jpeg_read_header(&d->info, TRUE) != JPEG_HEADER_OK || !is_plain(d)) {
    jpeg_close(d);
    return NULL;
  }
  return d;
}

void jpeg_close(jpeg_decoder *d) {
  if (!d) return;
  jpeg_destroy_decompress(&d->info);
  free(d);
}

void jpeg_set_shrink(jpeg_decoder *d, int shrink, int *width, int *height) {
  d->info.scale_num = 1;
  d->info.scale_denom = (unsigned)shrink;
  jpeg_calc_output_dimensions(&d->info);
  *width = (int)d->info.output_width;
  *height = (int)d->info.output_height;
}

int jpeg_orientation(const jpeg_decoder *d) { return d->orientation; }

// Pixels

bool jpeg_read_rows(jpeg_decoder *d, resampler *r, bool (*must_stop)(void *context), void *context) {
  if (setjmp(d->failure)) return false;
  jpeg_start_decompress(&d->info);
  while (d->info.output_scanline < d->info.output_height && !resampler_is_done(r)) {
    if (d->info.output_scanline % 16 == 0 && must_stop(context)) return false;
    JSAMPROW row = resampler_row(r);
    if (jpeg_read_scanlines(&d->info, &row, 1) != 1) return false;
    resampler_push(r);
  }
  return d->info.err->num_warnings == 0;
}
