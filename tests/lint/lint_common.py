"""What the lints share: which files there are, and the two runs of each lint.

A lint is a function that takes a root directory and returns its findings as
"file:line: text".  Each also has a list of samples: small trees in which it must
find something, or nothing.  They are checked first, every time, so that a lint
that has gone blind fails too.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FOLDERS = ('src', 'include', 'plugins', 'tests', 'etc', 'doc', '.ci')
SKIP_DIRS = {'__pycache__', 'node_modules', 'autom4te.cache', '.deps', '.libs', 'env'}
# Of a tarball: what the autotools made.
MADE = {'Makefile.in', 'configure', 'aclocal.m4', 'config.h.in'}


def _walk(root):
    """The files of an unpacked tarball: no .git there."""
    for entry in sorted(root.iterdir()):
        if entry.is_file() and entry.name not in MADE:
            yield entry
    for folder in FOLDERS:
        for where, dirs, names in os.walk(root / folder):
            dirs[:] = sorted(d for d in dirs if d not in SKIP_DIRS)
            for name in sorted(set(names) - MADE):
                yield pathlib.Path(where) / name


def files(root, *suffixes):
    """Paths of the project's own files, relative to ROOT; by suffix if given."""
    root = pathlib.Path(root)
    if (root / '.git').exists():
        out = subprocess.run(
            ['git', '-C', str(root), 'ls-files', '-z', '--cached', '--others',
             '--exclude-standard'], check=True, capture_output=True).stdout
        found = [root / name for name in out.decode().split('\0') if name]
    else:
        found = list(_walk(root))
    for path in sorted(set(found)):
        if path.is_file() and (not suffixes or path.name.endswith(suffixes)):
            yield path.relative_to(root)


def text(root, path):
    """The file's text, or None if it is not text."""
    raw = (pathlib.Path(root) / path).read_bytes()
    if b'\0' in raw:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


_TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def strip_c(source, strings=True):
    """C without comments and, if asked, without what stands in quotes.

    Line numbers stay as they are.
    """
    def blank(match):
        token = match.group(0)
        if token[0] in '"\'':
            return token[0] * 2 if strings else token
        return re.sub(r'[^\n]', ' ', token)
    return _TOKEN.sub(blank, source)


def _tree(where, content):
    for name, body in content.items():
        path = pathlib.Path(where) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(body, bytes):
            path.write_bytes(body)
        else:
            path.write_text(body)


def _self_test(check, samples):
    bad = []
    for number, (content, expected) in enumerate(samples):
        with tempfile.TemporaryDirectory() as where:
            _tree(where, content)
            found = check(where)
        if expected is None and found:
            bad.append('sample %d is right, but: %s' % (number, found))
        elif expected is not None and not any(expected in line for line in found):
            bad.append('sample %d has "%s", found: %s' % (number, expected, found))
    if not any(expected for _, expected in samples):
        bad.append('no sample shows that this lint can fail')
    return bad


def main(check, samples):
    """Self-test, then the tree; exits with 1 if either has findings."""
    blind = _self_test(check, samples)
    for line in blind:
        print('self-test: ' + line)
    default = pathlib.Path(__file__).resolve().parents[2]
    root = sys.argv[1] if len(sys.argv) > 1 else os.environ.get('CHATD_SRCDIR', default)
    found = check(root)
    for line in found:
        print(line)
    print('%s: %d findings' % (pathlib.Path(sys.argv[0]).name, len(found)))
    sys.exit(1 if found or blind else 0)
