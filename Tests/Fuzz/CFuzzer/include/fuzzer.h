#ifndef MINIVMM_FUZZER_H
#define MINIVMM_FUZZER_H

#include <stddef.h>
#include <stdint.h>

/// libFuzzer, which the compiler links in with `-sanitize=fuzzer`: makes up inputs, and gives each to a function. It
/// ends the process. Source: LLVM, "libFuzzer", "Using libFuzzer as a library".
int LLVMFuzzerRunDriver(int *count, char ***arguments, int (*test)(const uint8_t *bytes, size_t size));

#endif
