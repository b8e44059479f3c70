#pragma once
#include "search.h"
#include "sha256.h"
#include "widen.h"
