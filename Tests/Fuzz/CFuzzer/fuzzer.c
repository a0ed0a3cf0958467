// A package's C target has a source file, even if it only declares something.
#include "fuzzer.h"
