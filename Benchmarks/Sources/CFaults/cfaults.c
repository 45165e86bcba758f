#include "cfaults.h"
