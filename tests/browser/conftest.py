"""A browser, and pages in it that must neither complain nor ask for anything."""

import shutil

import pytest

from pages import DRAWN

CHROMIUM = ("/usr/lib/chromium/chromium", "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


@pytest.fixture(scope="session")
def browser():
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if executable is None:
        pytest.skip("no Chromium found: apt-get install chromium")
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, results):
    """Open a page at a width; complaints and foreign requests are collected and must be none."""
    complaints, contexts = [], []

    def open_page(name: str, width: int):
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: note(request.url))
        page.goto((results / name).as_uri())
        page.wait_for_function(DRAWN)
        return page

    def note(url: str):
        if not url.startswith(("file:", "data:", "blob:")):
            complaints.append(f"request to {url}")

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
