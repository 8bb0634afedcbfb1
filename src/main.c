/*
 * chatd: see role/master.h; here is only main.
 */
#include "config.h"

#include <stdio.h>

int
main(void)
{
	printf("chatd " PACKAGE_VERSION "\n");
	return 0;
}
