"""What README.md tells its reader to do works as it stands there.

And what doc/architecture.md repeats of the code is what the code says.
"""

import importlib.machinery
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import server as server_module

SOURCE = Path(os.environ.get("CHATD_SRCDIR", Path(__file__).resolve().parents[2]))
TEXT = (SOURCE / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S)
ADDRESS = "127.0.0.1:8000"


def blocks(language):
    return [text for name, text in BLOCKS if name == language]


def block(language, has=""):
    (found,) = [text for text in blocks(language) if has in text]
    return found


class Running:
    """An example that runs on until it is stopped; its output grows in .text."""

    def __init__(self, command, **how):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, **how)
        self.text = ""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.text += line

    def says(self, line):
        server_module.until(lambda: line in self.text.splitlines(), 20,
                            lambda: f"no {line!r} in:\n{self.text}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


@pytest.fixture
def example(tmp_path, make_server):
    """example(language): runs the block of that language against a server."""
    server = make_server(
        namespaces={"chat": {"subscribe": "anyone", "publish": "subscriber"}})
    running = []

    def run(language):
        code = block(language)
        assert code.count(ADDRESS) == 1
        code = code.replace(ADDRESS, f"127.0.0.1:{server.port}")
        if language == "js":
            modules = Path(os.environ["CHATD_TEST_ENV"]) / "node_modules"
            (tmp_path / "node_modules").symlink_to(modules)
            path = tmp_path / "example.mjs"
            command = ["node", str(path)]
        else:
            path = tmp_path / "example.py"
            command = [sys.executable, str(path)]
        path.write_text(code)
        running.append(Running(command))
        return running[-1]

    yield run
    for one in running:
        one.stop()


def test_every_block_has_a_test():
    assert {name for name, _ in BLOCKS} == {"text", "sh", "js", "python", "conf"}
    assert len(blocks("js")) == len(blocks("python")) == len(blocks("conf")) == 1
    assert len(blocks("sh")) == 2


def test_first_examples(example):
    node = example("js")
    node.says("Node: Hello from Node.js")
    python = example("python")
    python.says("Python: Hello from Python")
    # They are in one room.
    node.says("Python: Hello from Python")


def check(path):
    return subprocess.run([server_module.BIN, "-t", "-c", str(path),
                           *server_module.PLUGINS],
                          capture_output=True, text=True, timeout=20)


def test_configuration(tmp_path):
    conf = tmp_path / "chat.conf"
    conf.write_text(block("conf"))
    done = check(conf)
    assert done.returncode == 0, done.stderr
    conf.write_text(block("conf").replace("allow_anonymous", "allow_anonimous"))
    done = check(conf)
    assert done.returncode != 0
    line = block("conf").split("allow_anonymous")[0].count("\n") + 1
    assert f"{conf}:{line}" in done.stderr


def test_the_two_commands_are_there():
    commands = re.findall(r"^(\./\S+)", block("sh", "quickstart"), re.M)
    assert commands == ["./etc/quickstart.sh", "./tests/run.sh"]
    for command in commands:
        assert os.access(SOURCE / command, os.X_OK), command


def test_documents_are_there():
    for name in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (SOURCE / name).exists(), name
    for page, section in re.findall(r"\b([a-z]+(?:\.conf)?)\((\d)\)", TEXT):
        assert (SOURCE / "doc" / f"{page}.{section}").exists(), f"{page}({section})"


def test_signals_are_those_of_the_code():
    header = (SOURCE / "src" / "role" / "master.h").read_text()
    code = set(re.findall(r"^\s*X\((\w+),", header, re.M))
    code -= set(re.findall(r'X\((\w+), "nothing:', header))
    table = TEXT.split("| signal to the master")[1].split("\n\n")[0]
    assert set(re.findall(r"`([A-Z0-9]+)`", table)) - {"QUIT"} == code - {"QUIT"}
    assert "QUIT" in code and "| `QUIT` |" in table


def architecture(heading):
    text = (SOURCE / "doc" / "architecture.md").read_text()
    return re.split(r"^#+ ", text.split(f"# {heading}\n")[1], flags=re.M)[0]


def test_layers_are_those_of_the_lint():
    path = str(SOURCE / "tests" / "lint" / "layers")
    sys.path.insert(0, os.path.dirname(path))
    loader = importlib.machinery.SourceFileLoader("layers", path)
    lint = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("layers", loader))
    loader.exec_module(lint)
    rows = re.findall(r"^\| `(\w+)` \|.*\|([\w ,]*)\|$", architecture("Layers"), re.M)
    said = {name: set(may.replace(",", " ").split()) for name, may in rows}
    assert said == {name: set(may) for name, may in lint.MAY.items() if name != "main"}


def test_offsets_are_those_of_the_ring():
    header = (SOURCE / "src" / "ring" / "ring_layout.h").read_text()
    said = []
    for heading in ("The segment", "A lane"):
        for text in re.findall(r"^```text\n(.*?)^```$", architecture(heading),
                               re.M | re.S):
            said += re.findall(r"(?:^|  ) ?(\d+) ([a-z_]+)", text, re.M)
    assert len(said) > 20
    missing = [f"{offset} {name}" for offset, name in said
               if not re.search(rf"\b{offset} {name}\b", header)]
    assert missing == []


@pytest.mark.long
def test_install(tmp_path):
    """The block that builds and installs, with a place of its own for /."""
    tree, root = tmp_path / "tree", tmp_path / "root"
    shutil.copytree(SOURCE, tree, ignore=shutil.ignore_patterns(
        ".git", "build*", "node_modules", "env", ".venv", "*.o", "config.status"))
    script = block("sh", "configure")
    for directory in ("/etc", "/var", "/run"):
        script, n = re.subn(rf"={directory}\b", f"={root}{directory}", script)
        assert n == 1
    script, n = re.subn(r"^\./configure ", f"./configure --prefix={root}/usr ", script,
                        flags=re.M)
    assert n == 1
    script = re.sub(r"^make$|^make ", "make -s -j2 ", script, flags=re.M)
    # The last two lines are run apart: the sample may listen on a port in use.
    script, start = script.split("chatd -t")
    assert re.search(r"^chatd ", start, re.M)
    done = subprocess.run(["sh", "-ec", script], cwd=tree, capture_output=True,
                          text=True, timeout=540)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

    port = server_module.free_port()
    conf = root / "etc" / "chatd" / "chat.conf"
    text = conf.read_text()
    assert ADDRESS in text
    text = text.replace(ADDRESS, f"127.0.0.1:{port}")
    text = text.replace("127.0.0.1:8001", f"127.0.0.1:{server_module.free_port()}")
    # This machine may not have the sample's user.
    conf.write_text(re.sub(r"^user\b.*$", "", text, flags=re.M))
    chatd = root / "usr" / "sbin" / "chatd"
    for directory in ("var/lib/chatd", "run/chatd"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    subprocess.run([chatd, "-t"], check=True, timeout=20)
    subprocess.run([chatd], check=True, timeout=20)
    (pid_file,) = (root / "run" / "chatd").glob("*.pid")
    pid = int(pid_file.read_text())
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(
                f"http://127.0.0.1:{port}/connection/websocket", timeout=5)
        assert refused.value.code == 400  # no upgrade was asked for
        assert refused.value.headers["Sec-WebSocket-Version"] == "13"
    finally:
        os.kill(pid, signal.SIGTERM)
        server_module.until(lambda: server_module.stat_of(pid) is None, 20)
