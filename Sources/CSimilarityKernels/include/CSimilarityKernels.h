#pragma once
#include "gather.h"
#include "layers.h"
#include "search.h"
#include "sha256.h"
#include "spatial.h"
#include "widen.h"
