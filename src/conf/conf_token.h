/*
 * conf_token: the words, strings and signs of a configuration file.
 */
#ifndef CONF_TOKEN_H
#define CONF_TOKEN_H

#include "base/base_buf.h"

enum conf_token {
	CONF_TOKEN_END,
	CONF_TOKEN_WORD,
	CONF_TOKEN_STRING, /* quoted, or a variable */
	CONF_TOKEN_OPEN, /* { */
	CONF_TOKEN_CLOSE, /* } */
	CONF_TOKEN_EQUAL,
	CONF_TOKEN_COMMA,
	CONF_TOKEN_BAD, /* reported; nothing can follow */
};

struct conf_tokens {
	const char *file;
	const char *p, *end;
	int line; /* where p is */
	struct base_buf *errors;
	/* The last token: */
	enum conf_token type;
	const char *at; /* its first byte, quotes included */
	size_t len;
	int at_line;
};

/* Reads the next token into T->type and what follows there. */
void conf_token_next(struct conf_tokens *t);

#endif
