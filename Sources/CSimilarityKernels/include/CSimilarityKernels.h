#pragma once
#include "gather.h"
#include "search.h"
#include "sha256.h"
#include "widen.h"
