/*
 * token_claims: the claims of a token whose signature was found good.
 *
 * For token.c alone.
 */
#ifndef PROTO_TOKEN_CLAIMS_H
#define PROTO_TOKEN_CLAIMS_H

#include "proto/token.h"

/* PAYLOAD is the decoded second part of the token. */
enum token_result token_claims_read(struct base_slice payload, int64_t now,
    struct token_claims *claims) BASE_MUST_CHECK;

#endif
