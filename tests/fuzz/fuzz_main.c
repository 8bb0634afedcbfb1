/*
 * fuzz_main: runs a fuzz target without libFuzzer.
 *
 *	fuzz_NAME [-n RUNS] [-s SEED] [CORPUS...]
 *
 * Every file of the corpora (files or directories; by default the committed one of
 * NAME) once, then RUNS mutations of them, the same for the same SEED.  Fails when
 * memory has grown between the first tenth of the runs and the end.  RUNS is a million,
 * less with a sanitizer; FUZZ_RUNS in the environment stands for -n.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "test_rand.h"

#define INPUT_MAX  2048
#define CORPUS_MAX 4096 /* files */
#define HEAP_GROWTH_MAX     (64 << 10) /* bytes that are no growth: stdio's buffers */
#define RESIDENT_GROWTH_MAX (1 << 20) /* the same for the heap's own arenas */

struct input {
	uint8_t *p;
	size_t len;
};

static struct input corpus[CORPUS_MAX];
static size_t n_corpus;
static const char *name;
static unsigned long run, seed = 1;
static const struct input *running;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED
#define RUNS 100000
#include <sanitizer/common_interface_defs.h>

/* In clang's allocator_interface.h; gcc has the function and not the header. */
size_t __sanitizer_get_current_allocated_bytes(void);
#else
#define RUNS 1000000
#endif

/* Which input it was; also from a signal handler. */
static void
last_words(void)
{
	char path[256], text[400];
	const struct input *in = running;
	int fd, n;

	if (in == NULL)
		return;
	snprintf(path, sizeof(path), "crash-%s-%lu-%lu", name, seed, run);
	n = snprintf(text, sizeof(text), "%s: run %lu of seed %lu failed, see %s\n",
	    name, run, seed, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, in->p, in->len) < 0 || close(fd) < 0)
		perror(path);
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(2);
}

static void
on_signal(int sig)
{
	last_words();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void
run_one(const struct input *in)
{
	uint8_t *exact = fuzz_copy(in->p, in->len);

	running = in;
	LLVMFuzzerTestOneInput(exact, in->len);
	FUZZ_CHECK(in->len == 0 || memcmp(exact, in->p, in->len) == 0);
	running = NULL;
	free(exact);
}

static void
load_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t buf[INPUT_MAX];
	size_t n;

	if (f == NULL) {
		fprintf(stderr, "%s: %s: %s\n", name, path, strerror(errno));
		exit(2);
	}
	n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	FUZZ_CHECK(n_corpus < CORPUS_MAX);
	corpus[n_corpus++] = (struct input){fuzz_copy(buf, n), n};
}

static int
visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* In the order of their names: the same on every machine. */
static void
load(const char *path)
{
	struct dirent **list;
	struct stat st;
	char file[4096];
	int i, n;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
		load_file(path);
		return;
	}
	n = scandir(path, &list, visible, alphasort);
	if (n <= 0) {
		fprintf(stderr, "%s: no corpus in %s\n", name, path);
		exit(2);
	}
	for (i = 0; i < n; i++) {
		snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
		load_file(file);
		free(list[i]);
	}
	free(list);
}

/* Makes room for, or takes away, N bytes at AT. */
static void
move_tail(struct input *in, size_t at, size_t n, bool insert)
{
	size_t tail = in->len - at;

	if (insert) {
		n = BASE_MIN(n, INPUT_MAX - in->len);
		memmove(in->p + at + n, in->p + at, tail);
		memset(in->p + at, (int)test_rand(256), n);
		in->len += n;
	} else {
		n = BASE_MIN(n, tail);
		memmove(in->p + at, in->p + at + n, tail - n);
		in->len -= n;
	}
}

/* Lays a piece of another input, or of this one, over the bytes at AT. */
static void
lay_over(struct input *in, size_t at)
{
	const struct input *from = &corpus[test_rand(n_corpus)];
	size_t begin, n;

	if (from->len == 0)
		return;
	begin = test_rand(from->len);
	n = 1 + test_rand(BASE_MIN(from->len - begin, (size_t)64));
	if (test_rand(2) == 0)
		move_tail(in, at, n, true);
	n = BASE_MIN(n, INPUT_MAX - at);
	memcpy(in->p + at, from->p + begin, n);
	in->len = BASE_MAX(in->len, at + n);
}

static void
mutate(struct input *in)
{
	static const uint8_t special[] = {0x00, 0x01, 0x7d, 0x7e, 0x7f, 0x80, 0x81,
	    0xfe, 0xff, '\r', '\n', ' ', '"', '\\', ',', ';', '=', ':'};
	size_t at = in->len > 0 ? test_rand(in->len) : 0, n = 1 + test_rand(8);

	switch (in->len > 0 ? test_rand(8) : 6) {
	case 0:
		in->p[at] ^= (uint8_t)(1 << test_rand(8));
		break;
	case 1:
		in->p[at] = (uint8_t)test_rand(256);
		break;
	case 2:
		in->p[at] = special[test_rand(sizeof(special))];
		break;
	case 3:
		in->p[at] = (uint8_t)(in->p[at] + test_rand(3) - 1);
		break;
	case 4:
		move_tail(in, at, n, true);
		break;
	case 5:
		move_tail(in, at, n, false);
		break;
	case 6:
		lay_over(in, at);
		break;
	default:
		in->len = test_rand(4) == 0 ? at : in->len;
		break;
	}
}

/* Bytes that the heap has given out; 0 where the C library does not say. */
static size_t
heap_bytes(void)
{
#if defined(SANITIZED)
	return __sanitizer_get_current_allocated_bytes();
#elif defined(__GLIBC__)
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#else
	return 0;
#endif
}

/* Resident bytes.  A sanitizer keeps freed memory, so there it says nothing. */
static size_t
resident_bytes(void)
{
	unsigned long pages = 0;
#ifndef SANITIZED
	FILE *f = fopen("/proc/self/statm", "r");

	if (f != NULL) {
		if (fscanf(f, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
#endif
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static bool
grew(const char *what, size_t before, size_t after, size_t most)
{
	if (before == 0) /* not known here */
		return false;
	printf("%s: %s %zu -> %zu KiB\n", name, what, before >> 10, after >> 10);
	if (after <= before + most)
		return false;
	fprintf(stderr, "%s: memory grew\n", name);
	return true;
}

static int
run_all(unsigned long runs)
{
	static uint8_t bytes[INPUT_MAX];
	size_t i, heap = 0, resident = 0, n;
	struct input in = {bytes, 0};
	clock_t begin = clock();
	bool bad;

	for (i = 0; i < n_corpus; i++)
		run_one(&corpus[i]);
	for (run = 1; run <= runs; run++) {
		const struct input *from = &corpus[test_rand(n_corpus)];

		memcpy(bytes, from->p, from->len);
		in.len = from->len;
		for (n = 1 + test_rand(6); n > 0; n--)
			mutate(&in);
		run_one(&in);
		if (run == runs / 10) {
			heap = heap_bytes();
			resident = resident_bytes();
		}
	}
	printf("%s: %zu files, %lu mutations of seed %lu, %.1f s\n", name, n_corpus,
	    runs, seed, (double)(clock() - begin) / CLOCKS_PER_SEC);
	if (runs < 10)
		return 0;
	bad = grew("heap", heap, heap_bytes(), HEAP_GROWTH_MAX);
	bad = grew("resident", resident, resident_bytes(), RESIDENT_GROWTH_MAX) || bad;
	return bad ? 1 : 0;
}

static unsigned long
number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != 0) {
		fprintf(stderr, "%s: '%s' is not a number\n", name, text);
		exit(2);
	}
	return n;
}

int
main(int argc, char **argv)
{
	const char *env = getenv("FUZZ_RUNS"), *slash = strrchr(argv[0], '/');
	unsigned long runs = RUNS;
	char path[4096];
	int c;

	name = slash != NULL ? slash + 1 : argv[0];
	if (env != NULL)
		runs = number(env);
	while ((c = getopt(argc, argv, "n:s:")) != -1) {
		if (c == '?') {
			fprintf(stderr, "usage: %s [-n RUNS] [-s SEED] [CORPUS...]\n",
			    name);
			return 2;
		}
		*(c == 'n' ? &runs : &seed) = number(optarg);
	}
	test_rand_state = seed;
	signal(SIGABRT, on_signal);
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	signal(SIGFPE, on_signal);
#ifdef SANITIZED
	__sanitizer_set_death_callback(last_words);
#endif
	snprintf(path, sizeof(path), "%s/fuzz/corpus/%s", TEST_SRCDIR,
	    strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name);
	if (optind == argc)
		load(path);
	for (; optind < argc; optind++)
		load(argv[optind]);
	return run_all(runs);
}
