#pragma once
#include "search.h"
