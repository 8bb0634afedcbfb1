/*
 * fuzz_api: any bytes as the body of a request, for each method.
 *
 * What must hold: what is taken is one JSON object, and UTF-8; slices lie inside the
 * body or the scratch buffer; raw members are JSON.
 */
#include "config.h"

#include "fuzz.h"
#include "net/api.h"
#include "proto/json_rd.h"
#include "proto/utf8.h"

static bool
within(struct base_slice s, const char *p, size_t n)
{
	return s.p >= p && s.p <= p + n && s.len <= (size_t)(p + n - s.p);
}

static void
check_text(struct base_slice s, struct base_slice body, const struct base_buf *scratch)
{
	FUZZ_CHECK(s.len == 0 || within(s, body.p, body.len) ||
	    within(s, scratch->p, scratch->len));
	/* An escape may stand for any byte sequence but not for broken text. */
	FUZZ_CHECK(utf8_valid(s.p, s.len));
}

static void
check(const struct api_method *method, struct base_slice body)
{
	struct base_buf scratch = {0};
	struct api_args args;
	bool missing;

	if (api_args_read(method, body, &scratch, &args, &missing)) {
		FUZZ_CHECK(json_valid(body.p, body.len));
		FUZZ_CHECK(utf8_valid(body.p, body.len));
		check_text(args.channel, body, &scratch);
		check_text(args.b64data, body, &scratch);
		check_text(args.idempotency_key, body, &scratch);
		check_text(args.pattern, body, &scratch);
		check_text(args.epoch, body, &scratch);
		if (args.data.len > 0)
			FUZZ_CHECK(within(args.data, body.p, body.len) &&
			    json_valid(args.data.p, args.data.len));
	}
	base_buf_free(&scratch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy(data, size);
	struct base_slice body = {copy, size};

	for (size_t i = 0; i < api_order_n_methods; i++)
		check(&api_order_methods[i], body);
	for (size_t i = 0; i < api_admin_n_methods; i++)
		check(&api_admin_methods[i], body);
	free(copy);
	return 0;
}
