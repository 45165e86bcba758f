// A target needs a source.
#include "cfilesystems.h"
