"""How long it takes from a key to the frame that it leads to, and whether a press is lost.

A running app, a session on an environment, and Chromium: real keys, 20 a second, each timed from its event to its
frame on the canvas; then the same wishes over a bare socket, which leaves the browser out.

python -m scripts.drive_latency http://127.0.0.1:8501 --session example-doorkey-6x6
"""

import argparse
import json
import struct
import time
from urllib.parse import urlsplit

import numpy as np
from playwright.sync_api import sync_playwright
from websockets.sync.client import connect

from scripts.screenshots import CHROMIUM, FLAGS, settle

WATCH = """({ pad }) => {
    const pressed = [];
    window.times = [];
    pad.canvas.addEventListener("keydown", (event) => pressed.push(event.timeStamp), { capture: true });
    const draw = pad.draw.bind(pad);
    pad.draw = () => {
        draw();
        if (pressed.length) window.times.push(performance.now() - pressed.shift());
    };
}"""


def told(label: str, times: list[float], sent: int) -> None:
    """One line: how many came back, and the milliseconds that they took."""
    middle, late = np.percentile(times, (50, 95))
    print(f"{label}: {len(times)} of {sent} answered; {middle:.0f} ms median, {late:.0f} ms at the 95th percentile")


def by_keys(url: str, session: str, keys: list[str], presses: int, hertz: float) -> None:
    """Real keys in a real browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.goto(f"{url}/drive?session={session}")
        settle(page)
        page.locator("[data-part=start]").click()
        page.locator("[data-part=bench]").wait_for()
        settle(page)
        page.locator("[data-part=canvas]").focus()
        page.locator(".drive").evaluate(WATCH)
        begun = time.monotonic()
        for number in range(presses):
            page.keyboard.press(keys[number % len(keys)])
            page.wait_for_timeout(max(0.0, 1000 * (begun + (number + 1) / hertz - time.monotonic())))
        page.wait_for_function(f"() => window.times.length >= {presses}")
        told(f"keys at {hertz:g} a second, to the canvas", page.evaluate("window.times"), presses)
        browser.close()


def by_socket(url: str, session: str, presses: int, hertz: float) -> None:
    """The same without a browser."""
    with connect(f"ws://{urlsplit(url).netloc}/vlmcar/drive/{session}", max_size=None) as socket:
        names = [control["name"] for control in answer(socket.recv())["controls"]["keys"]][:2]
        times, begun = [], time.monotonic()
        for number in range(presses):
            sent = time.monotonic()
            pressed = {"held": [names[number % 2]]}
            socket.send(json.dumps({"number": number, "do": "press", "pressed": pressed}))
            assert answer(socket.recv())["number"] == number
            times.append(1000 * (time.monotonic() - sent))
            time.sleep(max(0.0, begun + (number + 1) / hertz - time.monotonic()))
        told(f"a bare socket at {hertz:g} a second", times, presses)


def answer(data: str | bytes) -> dict:
    """What an answer says beside its frame."""
    assert isinstance(data, bytes)
    (length,) = struct.unpack(">I", data[:4])
    return json.loads(data[4 : 4 + length])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--session", required=True)
    parser.add_argument("--keys", nargs="+", default=["ArrowLeft", "ArrowRight"], help="pressed in turn")
    parser.add_argument("--presses", type=int, default=40)
    parser.add_argument("--hertz", type=float, default=20.0)
    options = parser.parse_args()
    by_socket(options.url, options.session, options.presses, options.hertz)
    by_keys(options.url, options.session, options.keys, options.presses, options.hertz)


if __name__ == "__main__":
    main()
