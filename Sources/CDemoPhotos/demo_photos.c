// Written by Scripts/photos/make-demo-photos.py.

#include "CDemoPhotos.h"

// The package is C11; `#embed` is C23, which clang offers to older standards as an extension.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char arena_arles[] = {
#embed "photos/arena-arles.jpg"
};
static const unsigned char arena_rome[] = {
#embed "photos/arena-rome.jpg"
};
static const unsigned char bird_kingfisher[] = {
#embed "photos/bird-kingfisher.jpg"
};
static const unsigned char bird_macaw[] = {
#embed "photos/bird-macaw.jpg"
};
static const unsigned char bison[] = {
#embed "photos/bison.jpg"
};
static const unsigned char castle_chambord[] = {
#embed "photos/castle-chambord.jpg"
};
static const unsigned char castle_chenonceau[] = {
#embed "photos/castle-chenonceau.jpg"
};
static const unsigned char cat_jaguars[] = {
#embed "photos/cat-jaguars.jpg"
};
static const unsigned char cat_tabby[] = {
#embed "photos/cat-tabby.jpg"
};
static const unsigned char coffee[] = {
#embed "photos/coffee.jpg"
};
static const unsigned char giraffe_head[] = {
#embed "photos/giraffe-head.jpg"
};
static const unsigned char giraffe_herd[] = {
#embed "photos/giraffe-herd.jpg"
};
static const unsigned char moose[] = {
#embed "photos/moose.jpg"
};
static const unsigned char panda_giant[] = {
#embed "photos/panda-giant.jpg"
};
static const unsigned char panda_red[] = {
#embed "photos/panda-red.jpg"
};
static const unsigned char pyramid_giza[] = {
#embed "photos/pyramid-giza.jpg"
};
static const unsigned char pyramid_red[] = {
#embed "photos/pyramid-red.jpg"
};
static const unsigned char rocket[] = {
#embed "photos/rocket.jpg"
};

static const struct {
  const char *name;
  const unsigned char *bytes;
  size_t count;
} photos[] = {
  {"arena-arles.jpg", arena_arles, sizeof arena_arles},
  {"arena-rome.jpg", arena_rome, sizeof arena_rome},
  {"bird-kingfisher.jpg", bird_kingfisher, sizeof bird_kingfisher},
  {"bird-macaw.jpg", bird_macaw, sizeof bird_macaw},
  {"bison.jpg", bison, sizeof bison},
  {"castle-chambord.jpg", castle_chambord, sizeof castle_chambord},
  {"castle-chenonceau.jpg", castle_chenonceau, sizeof castle_chenonceau},
  {"cat-jaguars.jpg", cat_jaguars, sizeof cat_jaguars},
  {"cat-tabby.jpg", cat_tabby, sizeof cat_tabby},
  {"coffee.jpg", coffee, sizeof coffee},
  {"giraffe-head.jpg", giraffe_head, sizeof giraffe_head},
  {"giraffe-herd.jpg", giraffe_herd, sizeof giraffe_herd},
  {"moose.jpg", moose, sizeof moose},
  {"panda-giant.jpg", panda_giant, sizeof panda_giant},
  {"panda-red.jpg", panda_red, sizeof panda_red},
  {"pyramid-giza.jpg", pyramid_giza, sizeof pyramid_giza},
  {"pyramid-red.jpg", pyramid_red, sizeof pyramid_red},
  {"rocket.jpg", rocket, sizeof rocket},
};

size_t imsim_demo_photo_count(void) { return sizeof photos / sizeof photos[0]; }

const char *imsim_demo_photo_name(size_t index) { return photos[index].name; }

const unsigned char *imsim_demo_photo_bytes(size_t index, size_t *count) {
  *count = photos[index].count;
  return photos[index].bytes;
}
