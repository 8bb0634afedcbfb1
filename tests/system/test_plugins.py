"""Plugins that chat.conf names: found and checked at -t, at the start, at SIGHUP."""

import os
import re
import shutil
from pathlib import Path

import pytest

from daemon_util import Daemon, alive

# The doubles of stores that `make check` builds.
DOUBLES = os.environ.get("CHATD_PLUGIN_DIR", "")


@pytest.fixture
def daemon(tmp_path):
    directory = tmp_path / "plugins"
    directory.mkdir()
    for name in ("store_mem", "store_small"):
        shutil.copy(Path(DOUBLES) / f"{name}.so", directory)
    shutil.copy(Path(DOUBLES) / "broken_major.so", directory / "store_other.so")
    d = Daemon(tmp_path, plugins=directory)
    yield d
    d.clean()


def line_of(daemon, text):
    lines = daemon.conf.read_text().split("\n")
    return next(n for n, line in enumerate(lines, 1) if line.startswith(text))


# What stands in the file, the line that the message names, and the message.
BAD = {
    "missing": ("store = nowhere\n", "store", "store: {dir}/store_nowhere.so: No such"),
    "other interface": (
        "store = other\n",
        "store",
        "store: {dir}/store_other.so: is built for plugin interface 2.0; this chatd has",
    ),
    "no plugin": ("store = text\n", "store", "store: {dir}/store_text.so: cannot be lo"),
    "init": (
        "store = mem\nmem { bug = init }\n",
        "store",
        "store: store_mem: cannot be started: the memory is on holiday",
    ),
    "option": ("store = mem\nmem {\nrows = 1\n}\n", "rows", "rows: no such option in mem"),
    "value": ("store = mem\nmem {\nmax_rows = x\n}\n", "max_rows", 'max_rows: "x" is not'),
    "together": (
        "store = mem\nmem { refuse = on }\n",
        "mem",
        "mem: refuse and store do not go together",
    ),
    "too small": (
        "store = small\n",
        "store",
        "store: store_small takes messages of at most 1000 bytes: max_message_size is 6",
    ),
}


@pytest.fixture(params=list(BAD))
def bad(request, daemon):
    """The daemon with a file that must not be taken, and the message for it."""
    (daemon.plugins / "store_text.so").write_text("text\n")
    extra, start, message = BAD[request.param]

    def write():
        daemon.write(extra)
        line = line_of(daemon, start)
        return f"{daemon.conf}:{line}: " + message.format(dir=daemon.plugins)

    return write


def test_check_says_what_is_wrong(daemon, bad):
    message = bad()
    done = daemon.run("-t")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_start_says_what_is_wrong(daemon, bad):
    message = bad()
    for args in ([], ["-f"]):
        done = daemon.run(*args)
        assert done.returncode == 1
        assert done.stderr.startswith(message)
        assert done.stderr.count("\n") == 1
        assert not daemon.pid_file().exists()


def test_reload_changes_nothing_and_says_why(daemon, bad):
    daemon.start()
    workers = daemon.workers()
    message = bad()
    daemon.reload(wait=False)
    daemon.wait_log(re.escape(f"conf: {message}"))
    daemon.wait_log(r"configuration not changed: .* has mistakes")
    assert daemon.workers() == workers
    daemon.write("store = mem\nmem { max_rows = 7 }\nmax_subscriptions = 9\n")
    daemon.reload()


def test_plugin_that_kills_its_check(daemon):
    """Neither the start nor a reload ends without a word, and the master lives."""
    daemon.write("store = mem\nmem { bug = crash }\n")
    done = daemon.run()
    assert (done.returncode, done.stderr) == (
        1,
        f"chatd: signal 9 killed the check of {daemon.conf}\n",
    )
    daemon.write("store = mem\n")
    pid = daemon.start()
    daemon.write("store = mem\nmem { bug = crash }\n")
    daemon.reload(wait=False)
    daemon.wait_log("configuration not changed: signal 9 killed its check")
    assert alive(pid)


def test_master_and_workers_load_no_plugin(daemon):
    daemon.write("store = mem\n")
    pid = daemon.start()
    daemon.write("store = mem\nmem { max_rows = 7 }\n")
    daemon.reload()
    for process in [pid, *daemon.workers().values()]:
        maps = Path(f"/proc/{process}/maps").read_text(encoding="utf-8")
        assert "store_mem" not in maps
        assert "libc" in maps


def test_only_what_is_used_has_to_be_there(daemon):
    """Neither the default store, nor one that is not chosen, nor its options."""
    daemon.write('sqlite_is_no_option = 1\n')
    assert daemon.run("-t").returncode == 1
    daemon.write('postgres { dsn = "host=nowhere" what = {1, 2} }\n')
    assert daemon.run("-t").returncode == 0
    daemon.write('store = mem\nsqlite { what = ever }\nmem { max_rows = 7 }\n')
    shown = daemon.run("-T")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\nmem {\n\tmax_rows = 7\n" in shown.stdout
    assert "\n# not in use: sqlite { ... }\n" in shown.stdout
    daemon.conf.write_text(shown.stdout)
    assert daemon.run("-T").stdout == shown.stdout.replace("# not in use: sqlite { ... }\n", "")


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_manual_has_all_options_of_our_plugins(daemon, store):
    """With their defaults, as chatd shows them."""
    daemon.plugins = None
    daemon.write(f"store = {store}\n{store} {{ }}\n")
    shown = daemon.run("-T")
    if f"store_{store}.so: No such file" in shown.stderr:
        pytest.skip(f"store_{store} is not built")
    assert shown.returncode == 0, shown.stderr
    section = re.search(rf"^{store} {{\n(.*?)^}}", shown.stdout, re.M | re.S)[1]
    options = dict(re.findall(r"^\t(?:# not shown: )?(\w+) = (.*)$", section, re.M))
    page = (Path(__file__).parents[2] / "doc/chat.conf.5").read_text()
    manual = re.search(rf"^\.Ss Options of {store}$(.*?)^\.S[sh] ", page, re.M | re.S)[1]
    entries = re.split(r"^\.It Ic (\w+) = .*$", manual, flags=re.M)[1:]
    assert entries[::2] == list(options)
    for name, text in zip(entries[::2], entries[1::2]):
        value = options[name].replace('"', r"\(dq")
        if value == r"\(dq...\(dq":
            continue  # a secret
        assert re.search(rf"[Dd]efault:? {re.escape(value)}\.$", text, re.M), name


def test_section_that_belongs_to_nothing(daemon):
    daemon.write("store = mem\nmen { max_rows = 7 }\n")
    done = daemon.run("-t")
    assert done.returncode == 1
    assert done.stderr == f"{daemon.conf}:{line_of(daemon, 'men')}: men: no such section\n"


def test_directory_is_relative_to_where_chatd_is_started(daemon):
    daemon.write("store = mem\n")
    other = daemon.dir / "other"
    other.mkdir()
    daemon.plugins, absolute = Path("../plugins"), daemon.plugins
    done = daemon.run("-t", cwd=other)
    assert (done.returncode, done.stderr) == (0, "")
    done = daemon.run(cwd=other)
    assert (done.returncode, done.stderr) == (0, "")
    daemon.plugins = absolute
    daemon.write("store = mem\nmem { max_rows = 7 }\n")
    daemon.reload()
