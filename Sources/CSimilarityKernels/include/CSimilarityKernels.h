#pragma once
#include "sha256.h"
#include "widen.h"
