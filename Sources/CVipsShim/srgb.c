#include "srgb.h"

// Bands of colour, without alpha and other extra bands.
static int colour_bands(VipsImage *image) {
  if (image->Bands < 3) return 1;
  return vips_image_guess_interpretation(image) == VIPS_INTERPRETATION_CMYK && image->Bands >= 4 ? 4 : 3;
}

static bool has_profile(VipsImage *image) { return vips_image_get_typeof(image, VIPS_META_ICC_NAME) != 0; }

bool srgb_is_rgb(VipsImage *image) {
  VipsInterpretation type = vips_image_guess_interpretation(image);
  return image->Coding == VIPS_CODING_NONE && image->BandFmt == VIPS_FORMAT_UCHAR && image->Bands == 3 &&
         (type == VIPS_INTERPRETATION_sRGB || type == VIPS_INTERPRETATION_RGB) && !has_profile(image);
}

bool srgb_is_plain(VipsImage *image) {
  return image->Coding == VIPS_CODING_NONE && image->BandFmt == VIPS_FORMAT_UCHAR &&
         image->Bands == colour_bands(image) && image->Type != VIPS_INTERPRETATION_LAB;
}

int srgb_wrap(const uint8_t *pixels, int width, int height, VipsImage *model, VipsImage **out) {
  size_t size = (size_t)width * (size_t)height * (size_t)model->Bands;
  VipsImage *plain = vips_image_new_from_memory(pixels, size, width, height, model->Bands, VIPS_FORMAT_UCHAR);
  if (!plain) return -1;
  int result = vips_copy(plain, out, "interpretation", model->Type, NULL);
  g_object_unref(plain);
  const void *profile;
  size_t length;
  if (result == 0 && has_profile(model) && !vips_image_get_blob(model, VIPS_META_ICC_NAME, &profile, &length)) {
    vips_image_set_blob_copy(*out, VIPS_META_ICC_NAME, profile, length);
  }
  return result;
}

static int to_bytes(VipsImage *in, VipsImage **out) {
  return in->BandFmt == VIPS_FORMAT_USHORT ? vips_rshift_const1(in, out, 8, NULL)
                                           : vips_copy(in, out, NULL);
}

// The colour bands alone as 8-bit sRGB; `t` has room for 4.
static int colour(VipsImage *in, VipsImage **t, VipsImage **out) {
  if (has_profile(in)) {
    if (!vips_icc_transform(in, out, "srgb", "embedded", TRUE, "depth", 8, NULL)) return 0;
    vips_error_clear();  // a profile that does not fit the picture counts as none
  }
  if (vips_colourspace_issupported(in)) return vips_colourspace(in, out, VIPS_INTERPRETATION_sRGB, NULL);
  // Samples without a known meaning: grey or RGB.
  VipsInterpretation type = in->Bands == 1 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
  return to_bytes(in, &t[0]) || vips_cast_uchar(t[0], &t[1], NULL) ||
         vips_copy(t[1], &t[2], "interpretation", type, NULL) ||
         vips_colourspace(t[2], out, VIPS_INTERPRETATION_sRGB, NULL);
}

// The alpha band as 8 bits; `t` has room for 2.
static int alpha(VipsImage *in, int band, VipsImage **t, VipsImage **out) {
  if (vips_extract_band(in, &t[0], band, NULL)) return -1;
  double scale = 1;
  if (in->BandFmt == VIPS_FORMAT_USHORT) scale = 255.0 / 65535;
  if (in->BandFmt == VIPS_FORMAT_FLOAT || in->BandFmt == VIPS_FORMAT_DOUBLE) {
    scale = vips_image_guess_interpretation(in) == VIPS_INTERPRETATION_scRGB ? 255 : 1;
  }
  return vips_linear1(t[0], &t[1], scale, 0.5, NULL) || vips_cast_uchar(t[1], out, NULL);
}

int srgb_convert(VipsImage *image, const uint8_t *background, VipsImage **out) {
  VipsImage *scope = vips_image_new();  // owns the intermediate images
  VipsImage **t = (VipsImage **)vips_object_local_array(VIPS_OBJECT(scope), 16);
  VipsImage *in = image;
  int result = -1;
  if (vips_image_decode(image, &t[0])) goto done;
  in = t[0];
  int bands = colour_bands(in);
  if (vips_extract_band(in, &t[1], 0, "n", bands, NULL) || colour(t[1], &t[2], &t[6]) ||
      vips_cast_uchar(t[6], &t[7], NULL) || vips_extract_band(t[7], &t[8], 0, "n", VIPS_MIN(3, t[7]->Bands), NULL)) {
    goto done;
  }
  if (t[8]->Bands != 3) {
    vips_error("srgb", "the colour conversion gave %d bands", t[8]->Bands);
    goto done;
  }
  if (in->Bands == bands) {
    result = vips_copy(t[8], out, NULL);
    goto done;
  }
  if (alpha(in, bands, &t[9], &t[11]) || vips_bandjoin2(t[8], t[11], &t[12], NULL)) goto done;
  VipsArrayDouble *over = vips_array_double_newv(3, (double)background[0], (double)background[1], (double)background[2]);
  result = vips_flatten(t[12], out, "background", over, NULL);
  vips_area_unref(VIPS_AREA(over));
done:
  g_object_unref(scope);
  return result;
}
