// SwiftPM wants a source file in every C target.
#include "cepoll.h"
