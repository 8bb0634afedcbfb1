/*
 * glob: patterns of channel names.
 *
 * '*' any run of characters, '?' one, [a-z] one of these, [!a] none of these, {a,b}
 * one of these texts, which may be patterns; a backslash before any of them makes it
 * an ordinary character.  What is opened and not closed stands for itself.
 */
#ifndef CORE_GLOB_H
#define CORE_GLOB_H

#include "base/base_defs.h"

#define GLOB_MAX 512 /* bytes of a pattern; a longer one matches nothing */

/* A pattern that needs very many attempts matches nothing either. */
bool glob_match(struct base_slice pattern, struct base_slice text);

#endif
