/*
 * ctl_json: looking things up in the daemon's answers.
 */
#ifndef CTL_CTL_JSON_H
#define CTL_CTL_JSON_H

#include "proto/json_rd.h"

/* The value at PATH ("spool.records") in OBJECT; false: there is none. */
bool ctl_json_get(
    struct base_slice object, const char *path, struct base_slice *value_r);

/* The number there; 0 if there is none. */
uint64_t ctl_json_uint(struct base_slice object, const char *path);

/*
 * Appends the text of the string there, or the value itself if it is none, as a
 * terminal may see it.  Nothing if there is none.
 */
void ctl_json_text(struct base_slice object, const char *path, struct base_buf *out);
/* The same of a value, or of a key without its quotes; raw: a string with quotes. */
void ctl_json_show(struct base_slice value, struct base_buf *out);
void ctl_json_show_raw(struct base_slice value, struct base_buf *out);
void ctl_json_show_key(struct base_slice key, struct base_buf *out);

/* Walks over an array or, with a KEY_R, over an object. */
struct ctl_json_walk {
	struct json_rd rd;
	bool first, good;
};
void ctl_json_walk(struct ctl_json_walk *w, struct base_slice value);
bool ctl_json_element(struct ctl_json_walk *w, struct base_slice *value_r);
bool ctl_json_member(
    struct ctl_json_walk *w, struct base_slice *key_r, struct base_slice *value_r);

#endif
