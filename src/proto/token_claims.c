/*
 * token_claims: see the header.
 *
 * A claim that is null is absent.  Claims that nobody here knows are ignored (RFC 7519
 * section 4), a claim of ours that comes twice makes the token invalid.
 */
#include "config.h"

#include "proto/token_claims.h"

#include <stdlib.h>
#include <string.h>

#include "base/base_mem.h"
#include "proto/base64.h"
#include "proto/json_rd.h"
#include "proto/json_wr.h"

enum claim {
	CLAIM_SUB,
	CLAIM_EXP,
	CLAIM_NBF,
	CLAIM_IAT,
	CLAIM_JTI,
	CLAIM_ISS,
	CLAIM_AUD,
	CLAIM_INFO,
	CLAIM_B64INFO,
	CLAIM_META,
	CLAIM_EXPIRE_AT,
	CLAIM_CHANNELS,
	CLAIM_SUBS,
	CLAIM_CHANNEL,
	CLAIM_COUNT,
};

/* What was found: spans of the values; an absent one has len 0. */
struct found {
	struct base_slice value[CLAIM_COUNT];
	int64_t exp, nbf, iat, expire_at;
};

static bool
strings(struct base_slice span)
{
	struct json_rd rd;
	bool first = true;

	json_rd_init(&rd, span.p, span.len);
	if (!json_rd_array(&rd))
		return false;
	while (json_rd_element(&rd, &first)) {
		if (json_rd_value(&rd, NULL) != JSON_STRING)
			return false;
	}
	return json_rd_end(&rd);
}

/* The options of one channel of claim subs. */
static bool
channel_options(struct json_rd *rd)
{
	char room[JSON_KEY_ROOM];
	struct base_slice key;
	enum json_type type, want;
	bool first = true;

	if (!json_rd_object(rd))
		return false;
	while (json_rd_member(rd, &first, &key)) {
		key = json_key(key, room);
		want = JSON_BAD;
		if ((key.len == 7 && memcmp(key.p, "b64info", 7) == 0) ||
		    (key.len == 7 && memcmp(key.p, "b64data", 7) == 0))
			want = JSON_STRING;
		else if (key.len == 8 && memcmp(key.p, "override", 8) == 0)
			want = JSON_OBJECT;
		type = json_rd_value(rd, NULL);
		if (want != JSON_BAD && type != want && type != JSON_NULL)
			return false;
	}
	return !rd->bad;
}

static bool
channels_with_options(struct base_slice span)
{
	struct base_slice key;
	struct json_rd rd;
	bool first = true;

	json_rd_init(&rd, span.p, span.len);
	if (!json_rd_object(&rd))
		return false;
	while (json_rd_member(&rd, &first, &key)) {
		if (!channel_options(&rd))
			return false;
	}
	return json_rd_end(&rd);
}

/*
 * A NumericDate (RFC 7519 section 2): a number that may have a fraction, which is cut
 * off, and an exponent.  False when it is not within an int64_t.
 */
static bool
numeric_date(struct base_slice span, int64_t *out)
{
	char copy[48], *end;
	double value;

	if (json_int(span, INT64_MIN, INT64_MAX, out))
		return true;
	if (span.len >= sizeof(copy))
		return false;
	memcpy(copy, span.p, span.len);
	copy[span.len] = 0;
	value = strtod(copy, &end);
	/* The bounds are powers of two, so they are exact as double. */
	if (*end != 0 || !(value >= -0x1p62 && value <= 0x1p62))
		return false;
	*out = (int64_t)value;
	return true;
}

static bool
fits(enum claim claim, enum json_type type, struct base_slice span, struct found *found)
{
	bool number = type == JSON_NUMBER;

	switch (claim) {
	case CLAIM_SUB:
	case CLAIM_JTI:
	case CLAIM_ISS:
	case CLAIM_B64INFO:
		return type == JSON_STRING;
	case CLAIM_EXP:
		return number && numeric_date(span, &found->exp);
	case CLAIM_NBF:
		return number && numeric_date(span, &found->nbf);
	case CLAIM_IAT:
		return number && numeric_date(span, &found->iat);
	case CLAIM_EXPIRE_AT:
		return number && numeric_date(span, &found->expire_at);
	case CLAIM_AUD:
		return type == JSON_STRING || strings(span);
	case CLAIM_CHANNELS:
		return strings(span);
	case CLAIM_SUBS:
		return channels_with_options(span);
	case CLAIM_INFO:
	case CLAIM_META:
		return true;
	case CLAIM_CHANNEL: /* that is a token to subscribe with, not to connect */
	case CLAIM_COUNT:
		break;
	}
	return false;
}

static enum claim
find_claim(struct base_slice name)
{
	static const char *const names[CLAIM_COUNT] = {
		[CLAIM_SUB] = "sub",
		[CLAIM_EXP] = "exp",
		[CLAIM_NBF] = "nbf",
		[CLAIM_IAT] = "iat",
		[CLAIM_JTI] = "jti",
		[CLAIM_ISS] = "iss",
		[CLAIM_AUD] = "aud",
		[CLAIM_INFO] = "info",
		[CLAIM_B64INFO] = "b64info",
		[CLAIM_META] = "meta",
		[CLAIM_EXPIRE_AT] = "expire_at",
		[CLAIM_CHANNELS] = "channels",
		[CLAIM_SUBS] = "subs",
		[CLAIM_CHANNEL] = "channel",
	};
	int i;

	for (i = 0; i < CLAIM_COUNT; i++) {
		if (strlen(names[i]) == name.len &&
		    memcmp(names[i], name.p, name.len) == 0)
			break;
	}
	return (enum claim)i;
}

static bool
find_claims(struct base_slice payload, struct found *found)
{
	char room[JSON_KEY_ROOM];
	struct base_slice key, span;
	enum json_type type;
	enum claim claim;
	struct json_rd rd;
	uint32_t seen = 0;
	bool first = true;

	json_rd_init(&rd, payload.p, payload.len);
	if (!json_rd_object(&rd))
		return false;
	while (json_rd_member(&rd, &first, &key)) {
		claim = find_claim(json_key(key, room));
		type = json_rd_value(&rd, &span);
		if (type == JSON_BAD)
			return false;
		if (claim == CLAIM_COUNT)
			continue;
		if (seen & 1u << claim)
			return false;
		seen |= 1u << claim;
		if (type == JSON_NULL)
			continue;
		if (!fits(claim, type, span, found))
			return false;
		found->value[claim] = span;
	}
	return json_rd_end(&rd);
}

/* The user goes on as a terminated string: a NUL in it would make it another's. */
static bool
copy_user(struct base_slice sub, struct token_claims *claims)
{
	struct base_buf scratch = {0};
	struct base_slice text = {"", 0};
	bool ok;

	if (sub.len > 0)
		text = json_text(sub, &scratch);
	ok = memchr(text.p, 0, text.len) == NULL;
	if (ok)
		claims->user = base_memdup(text.p, text.len);
	base_buf_free(&scratch);
	return ok;
}

/* b64info goes before info; what it stands for has to be JSON as well. */
static bool
copy_info(const struct found *found, struct token_claims *claims)
{
	struct base_slice json = found->value[CLAIM_INFO], coded;
	struct base_buf scratch = {0}, decoded = {0}, info = {0};
	bool ok = true;

	coded = found->value[CLAIM_B64INFO];
	if (coded.len > 0)
		coded = json_text(coded, &scratch);
	if (coded.len > 0) {
		ok = base64_decode(BASE64_STD, coded, &decoded) &&
		    json_valid(decoded.p, decoded.len);
		json = (struct base_slice){decoded.p, decoded.len};
	}
	if (ok && json.len > 0) {
		json_wr_raw(&info, json);
		claims->info_len = info.len;
		base_buf_byte(&info, 0);
		claims->info = info.p;
	}
	base_buf_free(&scratch);
	base_buf_free(&decoded);
	return ok;
}

enum token_result
token_claims_read(struct base_slice payload, int64_t now, struct token_claims *claims)
{
	struct found found = {0};

	*claims = (struct token_claims){0};
	if (!find_claims(payload, &found))
		return TOKEN_INVALID;
	if ((found.value[CLAIM_EXP].len > 0 && now >= found.exp) ||
	    (found.value[CLAIM_NBF].len > 0 && found.nbf > now))
		return TOKEN_EXPIRED;
	if (!copy_user(found.value[CLAIM_SUB], claims) || !copy_info(&found, claims)) {
		token_claims_free(claims);
		return TOKEN_INVALID;
	}
	claims->expire_at = found.value[CLAIM_EXPIRE_AT].len > 0 ? found.expire_at
								 : found.exp;
	return TOKEN_OK;
}

void
token_claims_free(struct token_claims *claims)
{
	free(claims->user);
	free(claims->info);
	*claims = (struct token_claims){0};
}
