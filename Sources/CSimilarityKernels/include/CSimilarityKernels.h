#pragma once
#include "gather.h"
#include "sha256.h"
#include "widen.h"
