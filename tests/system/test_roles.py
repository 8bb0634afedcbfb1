"""The processes beside the workers: broker and archiver, and who keeps them running."""

import os
import pwd
import re
import signal

import pytest

from daemon_util import Daemon, alive, descriptors, status, title, until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

ARCHIVE = 'namespace "log" { archive = on history_size = 10 }\n'
STORE = 'store = "sqlite"\nsqlite { path = "%s" }\n'


@pytest.fixture(name="daemon")
def make_daemon(tmp_path):
    one = Daemon(tmp_path)
    yield one
    one.clean()


@pytest.fixture(name="open_daemon")
def make_open_daemon(tmp_path):
    """In a directory that every user may enter."""
    for directory in [tmp_path, *list(tmp_path.parents)[:2]]:
        directory.chmod(0o755)
    one = Daemon(tmp_path)
    yield one
    one.clean()


def role(daemon, name):
    """The pid of the only process with that role, or None."""
    found = [pid for pid in daemon.children() if title(pid) == f"chatd: {name}"]
    assert len(found) <= 1
    return found[0] if found else None


def wait_role(daemon, name, other_than=None):
    def found():
        pid = role(daemon, name)
        return pid if pid != other_than else None

    return until(found, 10, f"no {name}: {daemon.log()}")


def listening(pid):
    """Whether a process holds a listening TCP socket."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}
    return bool(inodes & set(descriptors(pid).values()))


# ---- who there is ----------------------------------------------------------


def test_a_broker_and_no_archiver_without_an_archive(daemon):
    daemon.start()
    broker = role(daemon, "broker")
    assert status(broker)["Name"] == "chatd-broker"
    assert role(daemon, "archiver") is None
    assert len(daemon.children()) == 3
    assert not listening(broker)
    assert listening(daemon.workers()[0])


def test_an_archived_namespace_has_an_archiver(daemon):
    daemon.write(ARCHIVE)
    daemon.start()
    archiver = wait_role(daemon, "archiver")
    assert status(archiver)["Name"] == "chatd-archiver"
    assert not listening(archiver)


def test_store_none_has_no_archiver(daemon):
    daemon.write('namespace "log" { history_size = 10 }\n', store='"none"')
    daemon.start()
    assert role(daemon, "archiver") is None


@needs_root
def test_all_of_them_drop_their_privileges(open_daemon):
    daemon = open_daemon
    daemon.write(ARCHIVE, user='"nobody"')
    daemon.start()
    uid = str(pwd.getpwnam("nobody").pw_uid)
    for pid in (role(daemon, "broker"), wait_role(daemon, "archiver")):
        until(lambda p=pid: status(p)["Uid"].split() == [uid] * 4)
        assert status(pid)["NoNewPrivs"] == "1"


# ---- death -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["broker", "archiver"])
def test_one_that_dies_is_started_again(daemon, name):
    daemon.write(ARCHIVE)
    daemon.start()
    workers = daemon.workers()
    with daemon.connect() as client:
        old = wait_role(daemon, name)
        daemon.wait_log("up workers")
        os.kill(old, signal.SIGKILL)
        daemon.wait_log(rf"{name} is back pid=\d+ start=2")
        assert role(daemon, name) != old
        # Whoever is connected does not notice.
        assert daemon.request(client).startswith(b"HTTP/1.1 ")
    assert daemon.workers() == workers
    assert re.search(rf"{name} was killed by signal 9", daemon.log())


def test_they_do_not_outlive_a_killed_master(daemon):
    daemon.write(ARCHIVE)
    master = daemon.start()
    wait_role(daemon, "archiver")
    children = daemon.children()
    os.kill(master, signal.SIGKILL)
    until(lambda: not any(map(alive, children)), 3, "children outlive the master")


# ---- reload ----------------------------------------------------------------


def test_the_archiver_comes_and_goes_by_reload(daemon):
    daemon.start()
    broker = role(daemon, "broker")
    workers = daemon.workers()
    daemon.write(ARCHIVE)
    daemon.reload()
    archiver = wait_role(daemon, "archiver")
    daemon.write('namespace "log" { history_size = 10 }\n', store='"none"')
    daemon.reload()
    until(lambda: not alive(archiver), 10, "the archiver stays")
    daemon.wait_log(rf"archiver ended pid={archiver}")
    assert role(daemon, "archiver") is None
    assert role(daemon, "broker") == broker
    assert daemon.workers() == workers


def test_the_archiver_stays_while_there_may_be_something_to_do(daemon):
    daemon.write(ARCHIVE)
    daemon.start()
    archiver = wait_role(daemon, "archiver")
    daemon.write('namespace "log" { history_size = 10 }\n')
    daemon.reload()
    os.kill(archiver, signal.SIGKILL)
    daemon.wait_log(r"archiver is back pid=\d+ start=2")
    daemon.write('namespace "log" { history_size = 10 }\n', store='"none"')
    daemon.reload()
    until(lambda: role(daemon, "archiver") is None, 10, "the archiver stays")


def test_an_option_of_the_store_restarts_the_archiver_alone(daemon):
    daemon.write(ARCHIVE + STORE % "a.db")
    daemon.start()
    first = wait_role(daemon, "archiver")
    others = [role(daemon, "broker"), daemon.workers()]
    daemon.write(ARCHIVE + STORE % "b.db")
    daemon.reload()
    second = wait_role(daemon, "archiver", other_than=first)
    assert "archiver ends for the new configuration" in daemon.log()
    # What it can take over in place does not.
    daemon.write(ARCHIVE + STORE % "b.db", store_rate="1000")
    daemon.reload()
    assert role(daemon, "archiver") == second
    assert [role(daemon, "broker"), daemon.workers()] == others


# ---- stop ------------------------------------------------------------------


def test_workers_end_first_and_the_broker_last(daemon):
    daemon.write(ARCHIVE)
    master = daemon.start()
    wait_role(daemon, "archiver")
    daemon.signal(signal.SIGTERM)
    daemon.wait_gone(master)
    ended = re.findall(r"(worker|archiver|broker)[ 0-9]* ended", daemon.log())
    assert ended == ["worker", "worker", "archiver", "broker"]


def test_a_broker_that_hangs_is_killed_after_the_workers_are_gone(daemon):
    master = daemon.start()
    broker = role(daemon, "broker")
    os.kill(broker, signal.SIGSTOP)
    daemon.signal(signal.SIGTERM)
    daemon.wait_gone(master, 20)
    assert re.search(
        r"worker 1 ended.*broker does not stop: killing it", daemon.log(), re.S
    )


# ---- state_dir -------------------------------------------------------------


def test_state_dir_is_made_for_its_user_alone(daemon):
    daemon.start()
    assert daemon.state_dir.stat().st_mode & 0o777 == 0o700
    assert daemon.state_dir.stat().st_uid == os.geteuid()


@needs_root
def test_state_dir_belongs_to_the_user(open_daemon):
    daemon = open_daemon
    daemon.write(user='"nobody"')
    daemon.start()
    nobody = pwd.getpwnam("nobody")
    made = daemon.state_dir.stat()
    assert (made.st_uid, made.st_gid) == (nobody.pw_uid, nobody.pw_gid)


def fails_at_state_dir(daemon, why):
    lines = daemon.conf.read_text().splitlines()
    number = next(i for i, s in enumerate(lines, 1) if s.startswith("state_dir"))
    done = daemon.run()
    assert done.returncode == 1
    assert f"{daemon.conf}:{number}: state_dir: " in done.stderr
    assert why in done.stderr
    assert not daemon.pid_file().exists()


def test_state_dir_that_cannot_be_made(daemon):
    daemon.write(state_dir=f'"{daemon.dir}/none/state"')
    fails_at_state_dir(daemon, f"cannot make {daemon.dir}/none/state: No such file")


def test_state_dir_that_is_no_directory(daemon):
    daemon.state_dir.write_text("")
    fails_at_state_dir(daemon, f"cannot write to {daemon.state_dir}: Not a directory")


@needs_root
def test_state_dir_that_its_user_may_not_write_to(open_daemon):
    daemon = open_daemon
    daemon.state_dir.mkdir(0o755)
    daemon.write(user='"nobody"')
    fails_at_state_dir(
        daemon, f"user nobody cannot write to {daemon.state_dir}: Permission denied"
    )
