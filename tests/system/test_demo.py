"""The demo page: two people in two Chromium windows, on two worker processes."""

import itertools
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from browser import Browser
from server import PLUGINS, free_port, until
from wire import Client

HERE = Path(__file__).resolve().parent
CHATCTL = Path(os.environ["CHATD_BUILDDIR"]) / "src" / "chatctl"

# Texts of all messages; of the people in the list with where they are.
MESSAGES = "return [...document.querySelectorAll('.message .text')].map(e => e.innerText)"
PEOPLE = ("return [...document.querySelectorAll('#people li')]"
          ".map(e => e.querySelector('.name').innerText)")
STATE = "return document.getElementById('connection').dataset.state"
JOINED = "return !document.getElementById('send').disabled"
# Records what the connection goes through from now on.
RECORD_STATES = """
const element = document.getElementById("connection");
window.states = [];
new MutationObserver(() => {
    if (window.states.at(-1) !== element.dataset.state)
        window.states.push(element.dataset.state);
}).observe(element, { attributes: true });
"""


class Person:
    """A name in a window that shows the page."""

    def __init__(self, browser, url):
        self.browser = browser
        self.wait = browser.wait
        self.js = browser.js
        browser.driver.get(url)

    def enter(self, name):
        field = self.browser.element("#name-input")
        field.clear()
        field.send_keys(name + Keys.ENTER)
        self.wait(JOINED)

    def say(self, text):
        self.browser.element("#message").send_keys(text + Keys.ENTER)

    def sees(self, text, mine=False):
        self.wait("return [...document.querySelectorAll("
                  "arguments[1] ? '.message.mine' : '.message:not(.mine)')].some("
                  "e => e.querySelector('.text').textContent === arguments[0] &&"
                  " !['sending', 'failed'].includes(e.dataset.delivery))", text, mine)

    def worker(self):
        tag = self.wait("const e = document.getElementById('worker');"
                        "return e.hidden ? '' : e.textContent")
        return int(re.fullmatch(r"worker (\d+)", tag).group(1))


# As in etc/demo.conf, but for how much is kept beside the database.
KEPT = {"history_size": 20, "history_for": "subscriber", "recover": True,
        "presence": True, "presence_for": "subscriber", "join_leave": True,
        "archive": True}
EVERYBODY = {"subscribe": "anyone", "publish": "subscriber"}


def start_demo(make_server, more, **options):
    """A server with the rooms of the page; MORE of what there is in KEPT."""
    server = make_server(
        start=False, workers=2, allowed_origins=["http://127.0.0.1:*"],
        namespaces={"chat": {**EVERYBODY, **more}, "who": EVERYBODY}, **options)
    server.host = f"127.0.0.1:{server.port}"
    server.write_conf()
    if more.get("archive"):
        subprocess.run([CHATCTL, "-c", server.conf, *PLUGINS, "store", "init"],
                       check=True, capture_output=True, timeout=60)
    return server.start()


@pytest.fixture(params=["kept", "plain"])
def demo(make_server, request):
    """A server with two workers and the page; server.host is its address and port.

    The page works where the server keeps nothing, too.
    """
    return start_demo(make_server, KEPT if request.param == "kept" else {})


@pytest.fixture
def kept(make_server):
    return start_demo(make_server, KEPT)


@pytest.fixture
def artifacts():
    """Where screenshots go, for people to look at."""
    directory = Path(os.environ["CHATD_BUILDDIR"]) / "tests" / "screenshots"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture
def browsers(tmp_path):
    """Opens windows, each with a profile of its own; from several threads too."""
    opened = []
    number = itertools.count()

    def open_browser(**how):
        browser = Browser(tmp_path / f"profile{next(number)}", **how)
        opened.append(browser)
        return browser

    yield open_browser
    for browser in opened:
        browser.close()


def apart(one, other):
    """Opens OTHER again until another worker than ONE's serves it."""
    for _ in range(200):
        if one.worker() != other.worker():
            return
        other.browser.driver.refresh()
        other.wait(JOINED)
    raise AssertionError("both windows hang on the same worker, 200 times")


def only_from(browser, server):
    urls = browser.urls()
    assert any(u.endswith("/connection/websocket") for u in urls)
    assert any(u.endswith("/demo.mjs") for u in urls)
    own = (f"http://{server.host}/", f"ws://{server.host}/")
    assert [u for u in urls if not u.startswith(own)] == []


def two_people(server, browsers):
    with ThreadPoolExecutor() as pool:
        one, other = pool.map(lambda dark: browsers(dark=dark), [False, True])
    ada = Person(one, f"http://{server.host}/")
    grace = Person(other, f"http://{server.host}/#lobby")
    ada.enter("Ada Lovelace")
    grace.enter("Grace Hopper")
    apart(ada, grace)
    for person in (ada, grace):
        person.wait(f"{PEOPLE.replace('return', 'const got =')};"
                    "return got.includes('Ada Lovelace') && "
                    "got.includes('Grace Hopper')")
    return ada, grace


def test_two_people_on_two_workers(demo, browsers, artifacts):
    ada, grace = two_people(demo, browsers)
    ada.say("Good morning! Which worker has you?")
    grace.sees("Good morning! Which worker has you?")
    ada.sees("Good morning! Which worker has you?", mine=True)
    grace.say(f"Number {grace.worker()}, says the corner up there.")
    grace.say("Yours is another one; the two meet in a ring of shared memory.")
    ada.sees("Yours is another one; the two meet in a ring of shared memory.")
    ada.say("And nobody waits for anybody.")
    grace.sees("And nobody waits for anybody.")
    assert ada.js(MESSAGES) == grace.js(MESSAGES)
    assert len(ada.js(MESSAGES)) == 4
    assert ada.js("return document.getElementById('rtt').textContent").endswith(" ms")

    ada.browser.driver.save_screenshot(str(artifacts / "demo-light.png"))
    grace.browser.driver.save_screenshot(str(artifacts / "demo-dark.png"))
    for person in (ada, grace):
        assert person.browser.console() == []
        only_from(person.browser, demo)


def test_a_killed_worker(demo, browsers, artifacts):
    ada, grace = two_people(demo, browsers)
    ada.js(RECORD_STATES)
    grace.js(RECORD_STATES)
    demo.kill_worker(ada.worker())
    ada.wait("return !document.getElementById('banner').hidden")
    ada.browser.driver.save_screenshot(str(artifacts / "demo-lost.png"))
    assert "Connection lost" in ada.js("return document.getElementById('banner').innerText")
    ada.wait("return window.states.at(-1) === 'connected'")
    ada.wait(JOINED)
    assert ada.js("return window.states") == ["waiting", "connecting", "connected"]
    assert ada.js("return document.getElementById('banner').hidden")
    assert "Connected again after" in ada.js("return document.getElementById('log').innerText")
    # The other window did not notice, and the two go on.
    assert grace.js("return window.states") == []
    ada.say("I was away.")
    grace.sees("I was away.")
    grace.say("I saw nothing of it.")
    ada.sees("I saw nothing of it.")
    assert sorted(ada.js(PEOPLE)) == ["Ada Lovelace", "Grace Hopper"]


def test_foreign_text_stays_text(demo, browsers):
    ada, grace = two_people(demo, browsers)
    attack = "<img src=x onerror=\"window.hit=1\"><script>window.hit=2</script>"
    grace.js("document.getElementById('rename').click()")
    grace.enter(attack)  # cut at 32 characters
    grace.say(attack)
    grace.say("javascript:alert(1) &lt;b&gt; \u202egnp.exe")
    ada.sees(attack)
    ada.sees("javascript:alert(1) &lt;b&gt; \u202egnp.exe")
    assert attack[:32] in ada.js(PEOPLE)
    room = grace.browser.element("#room-input")
    room.send_keys("<b>room" + Keys.ENTER)
    assert "Letters, digits" in grace.js(
        "return document.getElementById('room-error').textContent")
    for person in (ada, grace):
        assert person.js("return window.hit") is None
        assert person.js("return document.querySelectorAll("
                         "'#log img, #log script, #log b, #people img').length") == 0
        assert person.browser.console() == []
        only_from(person.browser, demo)


def test_rooms_unread_and_leaving(demo, browsers):
    ada, grace = two_people(demo, browsers)
    for person in (ada, grace):
        person.browser.element("#room-input").send_keys("Tea Room" + Keys.ENTER)
        person.wait(JOINED)
        assert person.js("return location.hash") == "#tea-room"
    ada.browser.element("#message").send_keys(Keys.ALT, Keys.ARROW_DOWN)
    ada.wait("return document.getElementById('room-title').textContent === '# lobby'")
    grace.say("one")
    grace.say("two")
    ada.wait("return document.querySelector('.badge')?.textContent === '2'")
    assert ada.js("return document.title").startswith("(2) ")
    assert ada.js(MESSAGES) == []
    ada.js("document.querySelector('.badge').closest('button').click()")
    assert ada.js(MESSAGES) == ["one", "two"]
    assert not ada.js("return document.title").startswith("(")
    # Names are remembered.
    ada.browser.driver.refresh()
    ada.wait(JOINED)
    assert ada.js("return document.getElementById('my-name').textContent") == "Ada Lovelace"


def notes(person):
    return person.js("return [...document.querySelectorAll('#log .note')]"
                     ".map(e => e.textContent)")


def test_who_comes_and_goes(kept, browsers):
    ada, grace = two_people(kept, browsers)
    assert "Grace Hopper joined" in notes(ada)
    grace.js("document.getElementById('rename').click()")
    grace.enter("Rear Admiral")
    ada.wait(PEOPLE.replace("return", "return ") + ".includes('Rear Admiral')")
    assert "Grace Hopper is now Rear Admiral" in notes(ada)
    # A page whose worker dies comes back as the same person.
    kept.kill_worker(grace.worker())
    grace.wait("return [...document.querySelectorAll('#log .note')].some("
               "e => e.textContent.startsWith('Connected again'))")
    grace.wait(JOINED)
    before = len(notes(ada))
    ada.wait("return new Promise(r => setTimeout(r, 4000, true))")
    assert notes(ada)[before:] == []
    assert sorted(ada.js(PEOPLE)) == ["Ada Lovelace", "Rear Admiral"]
    grace.browser.driver.get("about:blank")
    ada.wait(PEOPLE.replace("return", "return !") + ".includes('Rear Admiral')", seconds=6)
    assert notes(ada)[-1] == "Rear Admiral left"


def test_what_was_said_meanwhile(kept, browsers):
    ada, grace = two_people(kept, browsers)
    grace.say("before")
    ada.sees("before")
    ada.js(RECORD_STATES)
    kept.kill_worker(ada.worker())
    for n in range(5):
        grace.say(f"while you were away {n}")
    ada.wait("return window.states.at(-1) === 'connected'")
    ada.sees("while you were away 4")
    assert ada.js(MESSAGES) == ["before", *(f"while you were away {n}" for n in range(5))]


def test_older_messages(kept, browsers, artifacts):
    for n in range(75):
        subprocess.run([CHATCTL, "-c", kept.conf, "publish", "chat:lobby",
                        f'{{"name":"Clara","text":"number {n}"}}'],
                       check=True, capture_output=True, timeout=30)
    person = Person(browsers(), f"http://{kept.host}/")
    person.enter("Ada Lovelace")
    older = person.browser.element("#older")

    def shows(first):
        want = [f"number {n}" for n in range(first, 75)]
        person.wait("return JSON.stringify([...document.querySelectorAll('.message .text')]"
                    ".map(e => e.innerText)) === JSON.stringify(arguments[0])", want)
    # Two thirds of these come from the database: history keeps 20.
    shows(45)
    assert not older.is_displayed()
    person.js("document.getElementById('log').scrollTop = 0")
    person.wait("return !document.getElementById('older').hidden")
    person.browser.driver.save_screenshot(str(artifacts / "demo-older.png"))
    assert person.js("return document.documentElement.scrollHeight") == 720
    # The first one loses its head when another one of the same person comes before it.
    read = person.browser.driver.find_elements("css selector", ".message")[1]
    before = read.rect["y"]
    older.click()
    shows(15)
    # What was read stays where it was.
    assert abs(read.rect["y"] - before) < 3
    person.js("document.getElementById('log').scrollTop = 0")
    person.wait("return !document.getElementById('older').hidden")
    older.click()
    shows(0)
    assert not older.is_displayed()
    person.say("number 75")
    person.sees("number 75", mine=True)
    assert person.browser.console() == []


def test_demo_shows_the_rows(tmp_path):
    """etc/demo.sh, with an address of its own."""
    source = Path(os.environ["CHATD_SRCDIR"])
    port = free_port()
    conf = tmp_path / "demo.conf"
    text = (source / "etc" / "demo.conf").read_text()
    assert text.count("127.0.0.1:8000") == 3
    conf.write_text(text.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    with open(tmp_path / "out", "w+") as out:
        demo = subprocess.Popen(
            ["sh", source / "etc" / "demo.sh", os.environ["CHATD_BUILDDIR"], conf],
            stdout=out, stderr=out, start_new_session=True,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)})
        try:
            def said():
                return (tmp_path / "out").read_text()
            until(lambda: "The rows of " in said() and "master: up" in said(), 20, said)
            one = Client(("127.0.0.1", port)).connect()
            one.call(subscribe={"channel": "chat:lobby"})
            one.publish("chat:lobby", {"text": "hello"})
            until(lambda: 'chat:lobby 1  {"text":"hello"}' in said(), 10, said)
            one.close()
        finally:
            demo.terminate()
            assert demo.wait(30) == 0, said()
        assert "master: stopped" in said()


def test_a_phone(demo, browsers, artifacts):
    person = Person(browsers(width=390, height=780, dark=True), f"http://{demo.host}/")
    person.enter("Ada Lovelace")
    person.say("From a phone " * 12)
    person.sees(("From a phone " * 12).strip(), mine=True)
    assert person.js("return document.documentElement.scrollWidth") == 390
    person.browser.driver.save_screenshot(str(artifacts / "demo-phone.png"))
    person.browser.element("#show-rooms").click()
    person.wait("return document.activeElement.matches('#rooms-panel .close-panel')")
    person.browser.driver.save_screenshot(str(artifacts / "demo-phone-rooms.png"))
    person.browser.element("#rooms-panel .close-panel").send_keys(Keys.ESCAPE)
    person.wait("return document.activeElement.id === 'show-rooms'")
    assert person.browser.console() == []


def test_wire():
    """The page's connection and readers, by themselves in node."""
    done = subprocess.run(
        ["node", "--test", str(HERE / "wire.test.mjs")],
        env=os.environ | {"CHATD_SRC": str(HERE.parents[1] / "src")},
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^# pass [1-9]", done.stdout, re.M)
