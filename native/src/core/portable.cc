#define LEVEL portable
#include "implementation.h"
