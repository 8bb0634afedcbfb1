"""A Chromium window with nothing of anybody's in it, and what it did and said."""

import json
import shutil
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--force-prefers-reduced-motion",
]


def program(name, package):
    path = shutil.which(name)
    assert path, f"{name} is missing.  On Debian: apt-get install {package}"
    return path


class Browser:
    """One window; PROFILE is a directory that does not exist yet."""

    def __init__(self, profile, width=1100, height=720, dark=False):
        options = webdriver.ChromeOptions()
        options.binary_location = program("chromium", "chromium")
        for flag in FLAGS:
            options.add_argument(flag)
        options.add_argument(f"--user-data-dir={profile}")
        options.set_capability("goog:loggingPrefs",
                               {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(
            options=options,
            service=Service(program("chromedriver", "chromium-driver")))
        self.driver.set_page_load_timeout(20)
        self.driver.set_script_timeout(20)
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": width < 600})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme",
                          "value": "dark" if dark else "light"}]})
        # The page that a new window shows is not part of it.
        self.driver.get("about:blank")
        self.urls()

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def wait(self, script, *args, seconds=15):
        """What SCRIPT returns, as soon as that is something."""
        end = time.monotonic() + seconds
        while True:
            got = self.js(script, *args)
            if got:
                return got
            if time.monotonic() > end:
                raise AssertionError(f"never came true: {script} {args}; the page: "
                                     + self.js("return document.body.innerText"))
            time.sleep(0.05)

    def element(self, css):
        return self.driver.find_element("css selector", css)

    def console(self):
        """Entries of the console since the last call."""
        return self.driver.get_log("browser")

    def urls(self):
        """Addresses that were asked for since the last call."""
        urls = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            params = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                urls.append(params["request"]["url"])
            elif message["method"] == "Network.webSocketCreated":
                urls.append(params["url"])
        return urls

    def close(self):
        self.driver.quit()
