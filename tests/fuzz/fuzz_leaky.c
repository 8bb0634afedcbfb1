/*
 * fuzz_leaky: a target with the two faults that fuzz_main has to find.  It forgets
 * memory with each input, and aborts on one that begins with "abort".
 */
#include "config.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void *volatile forgotten;

	FUZZ_CHECK(size < 5 || memcmp(data, "abort", 5) != 0);
	forgotten = fuzz_copy(data, 64 < size ? 64 : size);
	return forgotten == NULL;
}
