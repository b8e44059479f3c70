#pragma once
#include "layers.h"
#include "search.h"
#include "sha256.h"
#include "widen.h"
