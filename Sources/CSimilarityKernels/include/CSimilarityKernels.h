#pragma once
#include "layers.h"
#include "sha256.h"
#include "widen.h"
