/* bench_token: see bench_token.h. */
#include "config.h"

#include "bench/bench_token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/base_assert.h"

/* base64url without padding, RFC 4648 section 5; N is at most 64. */
static void
add_base64url(struct base_buf *out, const void *p, size_t n)
{
	unsigned char text[96];
	int len;

	base_assert(n <= 64);
	len = EVP_EncodeBlock(text, p, (int)n);
	for (int i = 0; i < len && text[i] != '='; i++)
		base_buf_byte(out, text[i] == '+'   ? '-'
				   : text[i] == '/' ? '_'
						    : (char)text[i]);
}

void
bench_token(struct base_buf *out, const char *secret, uint32_t n)
{
	static const char head[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
	unsigned char sum[EVP_MAX_MD_SIZE];
	size_t start = out->len;
	unsigned len = 0;
	char claims[64];

	snprintf(claims, sizeof(claims), "{\"sub\":\"chatbench-%u\"}", n);
	add_base64url(out, head, sizeof(head) - 1);
	base_buf_byte(out, '.');
	add_base64url(out, claims, strlen(claims));
	base_assert(
	    HMAC(EVP_sha256(), secret, (int)strlen(secret),
		(unsigned char *)out->p + start, out->len - start, sum, &len) != NULL);
	base_buf_byte(out, '.');
	add_base64url(out, sum, len);
}
