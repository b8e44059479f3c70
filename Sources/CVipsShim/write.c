#include <string.h>
#include <vips/vips.h>

#include "error.h"

cvips_status cvips_encode_rgb(
    const uint8_t *rgb, int width, int height, int quality, uint8_t **bytes, size_t *length, char *message,
    size_t capacity) {
  size_t size = (size_t)width * (size_t)height * 3;
  VipsImage *plain = vips_image_new_from_memory(rgb, size, width, height, 3, VIPS_FORMAT_UCHAR);
  VipsImage *image = NULL;
  cvips_status status = CVIPS_OK;
  if (!plain || vips_copy(plain, &image, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) ||
      (quality > 0 ? vips_jpegsave_buffer(image, (void **)bytes, length, "Q", quality, "optimize_coding", TRUE, NULL)
                   : vips_pngsave_buffer(image, (void **)bytes, length, NULL))) {
    status = cvips_fail_with_error_buffer(CVIPS_UNSUPPORTED, message, capacity);
  }
  g_clear_object(&image);
  g_clear_object(&plain);
  return status;
}

cvips_status cvips_text(
    const char *markup, const char *font, uint8_t **mask, cvips_text_box *box, char *message, size_t capacity) {
  VipsImage *text = NULL;
  size_t size;
  if (vips_text(&text, markup, "font", font, "dpi", 72, NULL) ||
      !(*mask = vips_image_write_to_memory(text, &size))) {
    g_clear_object(&text);
    return cvips_fail_with_error_buffer(CVIPS_UNSUPPORTED, message, capacity);
  }
  *box = (cvips_text_box){text->Xsize, text->Ysize, text->Xoffset, text->Yoffset};
  g_object_unref(text);
  return CVIPS_OK;
}
