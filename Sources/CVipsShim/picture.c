#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <vips/vips.h>

#include "error.h"
#include "jpeg.h"
#include "read_time.h"
#include "resample.h"
#include "srgb.h"

struct cvips_picture {
  int descriptor;  // -1 where the picture is in `bytes`
  const uint8_t *bytes;
  int64_t length, position;
  int64_t deadline;
  bool expired, unreadable;
  jpeg_decoder *jpeg;  // NULL where libvips has to do it
  int shrink;          // of the header that was read last
  VipsSource *source;
  VipsImage *image;
  char format[16];
};

// Source. libvips reads through this instead of mapping the file (a mapped file that somebody truncates ends the process),
// and every read looks at the clock: loaders that decode a whole picture at once cannot be stopped otherwise.

static bool has_expired(cvips_picture *p) {
  if (g_get_monotonic_time() > p->deadline) p->expired = true;
  return p->expired;
}

static int64_t read_bytes(void *picture, uint8_t *buffer, int64_t wanted) {
  cvips_picture *p = picture;
  if (has_expired(p)) return -1;
  int64_t rest = p->length - p->position;
  if (wanted > rest) wanted = rest;
  if (wanted <= 0) return 0;
  if (p->descriptor < 0) {
    memcpy(buffer, p->bytes + p->position, (size_t)wanted);
  } else {
    int64_t start = read_time_begin();
    do {
      wanted = pread(p->descriptor, buffer, (size_t)wanted, p->position);
    } while (wanted < 0 && errno == EINTR);
    read_time_end(start);
    if (wanted < 0) {
      p->unreadable = true;
      return -1;
    }
  }
  p->position += wanted;
  return wanted;
}

static gint64 read_source(VipsSourceCustom *source, void *buffer, gint64 wanted, cvips_picture *p) {
  (void)source;
  return read_bytes(p, buffer, wanted);
}

static gint64 seek_source(VipsSourceCustom *source, gint64 offset, int whence, cvips_picture *p) {
  (void)source;
  gint64 base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? p->position : p->length;
  gint64 position;
  if (__builtin_add_overflow(base, offset, &position) || position < 0) return -1;
  return p->position = position;
}

static cvips_status fail(cvips_picture *p, cvips_status status, char *message, size_t capacity) {
  if (p->expired) status = CVIPS_TIMEOUT;
  if (p->unreadable) status = CVIPS_UNREADABLE;
  // Where libvips has no part in it, it may not be running, and has no buffer then.
  if (p->jpeg) return cvips_fail(status, "", message, capacity);
  return cvips_fail_with_error_buffer(status, message, capacity);
}

// Opening

static cvips_status open_source(cvips_picture *p, char *message, size_t capacity) {
  cvips_status status = cvips_start(message, capacity);
  if (status != CVIPS_OK) return status;
  p->position = 0;
  VipsSourceCustom *source = vips_source_custom_new();
  if (!source) return fail(p, CVIPS_MEMORY, message, capacity);
  g_signal_connect(source, "read", G_CALLBACK(read_source), p);
  g_signal_connect(source, "seek", G_CALLBACK(seek_source), p);
  p->source = VIPS_SOURCE(source);

  const char *operation = vips_foreign_find_load_source(p->source);  // "VipsForeignLoadJpegSource"
  if (!operation) return fail(p, CVIPS_UNSUPPORTED, message, capacity);
  const char *nickname = vips_nickname_find(g_type_from_name(operation));  // "jpegload_source"
  const char *end = nickname ? strstr(nickname, "load") : NULL;
  if (!end || end - nickname >= (ptrdiff_t)sizeof p->format) {
    return cvips_fail(CVIPS_UNSUPPORTED, operation, message, capacity);
  }
  memset(p->format, 0, sizeof p->format);
  memcpy(p->format, nickname, (size_t)(end - nickname));
  return CVIPS_OK;
}

cvips_status cvips_picture_open(
    int descriptor, const void *bytes, int64_t length, int64_t deadline, cvips_picture **picture, char *message,
    size_t capacity) {
  cvips_picture *p = g_new0(cvips_picture, 1);
  p->descriptor = descriptor;
  p->bytes = bytes;
  p->length = length;
  p->deadline = deadline;
  *picture = p;
  p->jpeg = jpeg_open(read_bytes, p);
  if (!p->jpeg) return open_source(p, message, capacity);
  strcpy(p->format, "jpeg");
  return CVIPS_OK;
}

void cvips_picture_close(cvips_picture *p) {
  if (!p) return;
  g_clear_object(&p->image);
  g_clear_object(&p->source);
  jpeg_close(p->jpeg);
  g_free(p);
}

void cvips_picture_set_deadline(cvips_picture *p, int64_t deadline) { p->deadline = deadline; }

const char *cvips_picture_format(const cvips_picture *p) { return p->format; }

static bool has_flag(VipsImage *image, const char *name) {
  int value = 0;
  return vips_image_get_typeof(image, name) && !vips_image_get_int(image, name, &value) && value != 0;
}

static int load(cvips_picture *p, int shrink, VipsImage **image) {
  if (shrink > 1 && strcmp(p->format, "jpeg") == 0) {
    return vips_jpegload_source(
        p->source, image, "shrink", shrink, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
  }
  if (shrink > 1 && strcmp(p->format, "webp") == 0) {
    return vips_webpload_source(
        p->source, image, "scale", 1.0 / shrink, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_ERROR,
        NULL);
  }
  *image = vips_image_new_from_source(
      p->source, "", "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_ERROR, NULL);
  return *image ? 0 : -1;
}

cvips_status cvips_picture_header(
    cvips_picture *p, int shrink, cvips_header *header, char *message, size_t capacity) {
  p->shrink = shrink;
  if (p->jpeg) {
    *header = (cvips_header){.bands = 3, .bytes_per_sample = 1, .frames = 1, .orientation = jpeg_orientation(p->jpeg)};
    jpeg_set_shrink(p->jpeg, shrink, &header->width, &header->height);
    return CVIPS_OK;
  }
  g_clear_object(&p->image);
  if (load(p, shrink, &p->image)) return fail(p, CVIPS_CORRUPT, message, capacity);
  VipsImage *image = p->image;
  const char *subsampling;
  *header = (cvips_header){
      .width = image->Xsize,
      .height = image->Ysize,
      .bands = image->Bands,
      .bytes_per_sample = (int32_t)vips_format_sizeof(image->BandFmt),
      .orientation = vips_image_get_orientation(image),
      .frames = vips_image_get_n_pages(image),
      .interlaced = has_flag(image, "interlaced") || has_flag(image, "jpeg-multiscan"),
      .subsampled = vips_image_get_typeof(image, "jpeg-chroma-subsample") &&
                    !vips_image_get_string(image, "jpeg-chroma-subsample", &subsampling) &&
                    strcmp(subsampling, "4:2:0") == 0,
  };
  return CVIPS_OK;
}

// Decoding

// Computes `image`, an 8-bit one, in strips on the calling thread.
static cvips_status read_rows(
    cvips_picture *p, VipsImage *image, resampler *r, char *message, size_t capacity) {
  enum { strip_height = 16 };
  VipsRegion *region = vips_region_new(image);
  if (!region) return fail(p, CVIPS_MEMORY, message, capacity);
  for (int y = 0; y < image->Ysize && !resampler_is_done(r); y += strip_height) {
    VipsRect strip = {0, y, image->Xsize, VIPS_MIN(strip_height, image->Ysize - y)};
    if (has_expired(p) || vips_region_prepare(region, &strip)) {
      cvips_status status = fail(p, CVIPS_CORRUPT, message, capacity);
      g_object_unref(region);
      return status;
    }
    for (int i = 0; i < strip.height; i++) {
      memcpy(resampler_row(r), VIPS_REGION_ADDR(region, 0, y + i), VIPS_REGION_SIZEOF_LINE(region));
      resampler_push(r);
    }
  }
  g_object_unref(region);
  return CVIPS_OK;
}

static cvips_status resample(
    cvips_picture *p, VipsImage *image, cvips_axis x, cvips_axis y, uint8_t *out, size_t out_row, char *message,
    size_t capacity) {
  resampler *r = resampler_new(x, y, image->Bands, out, out_row, cvips_resampling_level());
  if (!r) return cvips_fail(CVIPS_MEMORY, "out of memory", message, capacity);
  cvips_status status = read_rows(p, image, r, message, capacity);
  resampler_free(r);
  return status;
}

static bool must_stop(void *picture) { return has_expired(picture); }

static cvips_status decode_jpeg(
    cvips_picture *p, cvips_axis x, cvips_axis y, uint8_t *rgb, size_t row_bytes, char *message, size_t capacity) {
  resampler *r = resampler_new(x, y, 3, rgb, row_bytes, cvips_resampling_level());
  if (!r) return cvips_fail(CVIPS_MEMORY, "out of memory", message, capacity);
  bool is_complete = jpeg_read_rows(p->jpeg, r, must_stop, p);
  resampler_free(r);
  if (p->expired || p->unreadable) return fail(p, CVIPS_CORRUPT, message, capacity);
  return is_complete ? CVIPS_OK : CVIPS_CORRUPT;
}

cvips_status cvips_picture_decode(
    cvips_picture *p, cvips_axis x, cvips_axis y, const uint8_t *background, uint8_t *rgb, int64_t row_bytes,
    char *message, size_t capacity) {
  size_t rgb_row = (size_t)row_bytes;
  if (p->jpeg) {
    cvips_status status = decode_jpeg(p, x, y, rgb, rgb_row, message, capacity);
    if (status != CVIPS_CORRUPT) return status;
    // What is wrong, and whether it matters, libvips decides.
    g_clear_pointer(&p->jpeg, jpeg_close);
    status = open_source(p, message, capacity);
    if (status != CVIPS_OK) return status;
    cvips_header header;
    status = cvips_picture_header(p, p->shrink, &header, message, capacity);
    if (status != CVIPS_OK) return status;
    if (header.width != x.size || header.height != y.size) {
      return cvips_fail(CVIPS_CORRUPT, "its header is ambiguous", message, capacity);
    }
  }
  VipsImage *image = p->image;
  if (srgb_is_rgb(image)) return resample(p, image, x, y, rgb, rgb_row, message, capacity);

  if (!srgb_is_plain(image)) {
    // Transparency and other sample types have to be gone before pixels are mixed.
    VipsImage *converted;
    if (srgb_convert(image, background, &converted)) return fail(p, CVIPS_CORRUPT, message, capacity);
    cvips_status status = resample(p, converted, x, y, rgb, rgb_row, message, capacity);
    g_object_unref(converted);
    return status;
  }

  // Colour conversion costs far more a pixel than resampling, so it comes after.
  size_t native_row = (size_t)x.count * (size_t)image->Bands;
  uint8_t *native = g_try_malloc((size_t)y.count * native_row);
  if (!native) return cvips_fail(CVIPS_MEMORY, "out of memory", message, capacity);
  VipsImage *small = NULL, *converted = NULL;
  cvips_status status = resample(p, image, x, y, native, native_row, message, capacity);
  if (status == CVIPS_OK) {
    if (srgb_wrap(native, (int)x.count, (int)y.count, image, &small) || srgb_convert(small, background, &converted)) {
      status = fail(p, CVIPS_CORRUPT, message, capacity);
    } else {
      cvips_axis all_x = {x.count, x.count, 0, x.count}, all_y = {y.count, y.count, 0, y.count};
      status = resample(p, converted, all_x, all_y, rgb, rgb_row, message, capacity);
    }
  }
  g_clear_object(&converted);
  g_clear_object(&small);
  g_free(native);
  return status;
}
