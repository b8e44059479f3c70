#pragma once
#include "gather.h"
#include "layers.h"
#include "search.h"
#include "sha256.h"
#include "widen.h"
#include "winograd.h"
