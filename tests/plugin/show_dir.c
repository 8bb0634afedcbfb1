/*
 * show_dir: prints where plugins would be looked for in test mode; for test_setuid.
 */
#include "config.h"

#include <stdio.h>

#include "plug/plug_load.h"

int
main(void)
{
	puts(plug_load_dir(true));
	return 0;
}
