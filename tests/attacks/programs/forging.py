"""Messages in the worker's name: the app must read each as a stranger's word.

The checker itself always says False; whatever a forged message says instead, the app stands, its answers are in range,
and the honest checker is heard.
"""

from textwrap import dedent, indent

from tests.attacks.attack import Attack
from tests.attacks.tools import FORGE

HUGE = "1" + "0" * 400
"""An integer that no float can hold."""

ASKED = {
    "value-beyond-range": '{"kind": "ok", "value": 7}',
    "value-below-range": '{"kind": "ok", "value": -7}',
    "value-not-a-number": '{"kind": "ok", "value": NaN}',
    "value-infinite": '{"kind": "ok", "value": Infinity}',
    "value-huge-integer": f'{{"kind": "ok", "value": {HUGE}}}',
    "value-too-many-digits": '{"kind": "ok", "value": 1%s}' % ("0" * 6000),
    "value-text": '{"kind": "ok", "value": "1"}',
    "value-list": '{"kind": "ok", "value": [1]}',
    "kind-unknown": '{"kind": "nonsense", "frame": 0}',
    "kind-number": '{"kind": 7, "frame": 0}',
    "kind-list": '{"kind": ["ok"], "frame": 0}',
    "kind-missing": '{"frame": 0}',
    "line-negative": '{"kind": "error", "frame": 0, "line": -5}',
    "line-huge": f'{{"kind": "error", "frame": 0, "line": {HUGE}}}',
    "line-text": '{"kind": "error", "frame": 0, "line": "x"}',
    "frame-infinite": '{"kind": "error", "frame": Infinity, "message": "x"}',
    "frame-beyond": '{"kind": "error", "frame": 99999999, "message": "x"}',
    "frame-negative": '{"kind": "error", "frame": -1, "message": "x"}',
    "frame-text": '{"kind": "error", "frame": "x", "message": "x"}',
    "message-surrogate": '{"kind": "error", "frame": 0, "message": "\\\\ud800"}',
    "message-control": '{"kind": "error", "frame": 0, "message": "\\\\u001b[31m\\\\u0000"}',
    "message-object": '{"kind": "error", "frame": 0, "message": {"a": []}}',
    "message-long": '{"kind": "error", "frame": 0, "message": "%s"}' % ("x" * 40_000),
    "no-object": "[1, 2, 3]",
    "no-json": "{",
    "empty": "",
    "null": "null",
    "twice-the-key": '{"kind": "ok", "kind": "error", "value": 1, "value": null, "frame": 0, "frame": []}',
}
"""The text of one answer about a frame; for an operation F, or none where there are none."""

LOOKED = {
    "outcome-missing": '{"printed": "", "initial": [], "current": []}',
    "outcome-huge": f'{{"outcome": {{"kind": "ok", "value": {HUGE}}}, "printed": "", "initial": [], "current": []}}',
    "outcome-infinite": '{"outcome": {"kind": "ok", "value": Infinity}, "printed": "", "initial": [], "current": []}',
    "outcome-list": '{"outcome": [], "printed": "", "initial": [], "current": []}',
    "printed-long": '{"outcome": {"kind": "ok", "value": 0}, "printed": "%s", "initial": [], "current": []}'
    % ("x" * 50_000),
    "printed-control": '{"outcome": {"kind": "ok", "value": 0}, "printed": "\\\\u001b[", "initial": [], "current": []}',
    "seen-object": '{"outcome": {"kind": "ok", "value": 0}, "printed": "", "initial": {}, "current": {}}',
    "seen-number": '{"outcome": {"kind": "ok", "value": 0}, "printed": "", "initial": 5, "current": [5]}',
}
"""The text of the answer to an inspection, for an operation A."""

ANSWER = '{"outcome": {"kind": "ok", "value": 0}, "printed": "", "initial": [%s], "current": []}'
SEEN = {
    "mask-short": '{"name": "x", "kind": "mask", "shape": [16, 16], "bytes": 0}',
    "mask-huge": '{"name": "x", "kind": "mask", "shape": [99999999, 99999999], "bytes": 1}',
    "mask-negative": '{"name": "x", "kind": "mask", "shape": [-1, 5], "bytes": -9}',
    "box-infinite": '{"name": "x", "kind": "box", "numbers": [1, 2, Infinity, NaN], "bytes": 0}',
    "box-huge": f'{{"name": "x", "kind": "box", "numbers": [1, 2, 3, {HUGE}], "bytes": 0}}',
    "name-control": '{"name": "\\\\u001b[2J", "kind": "nothing", "bytes": 0}',
    "name-long": '{"name": "%s", "kind": "nothing", "bytes": 0}' % ("x" * 50_000),
    "kind-list": '{"name": "x", "kind": [], "bytes": 0}',
    "bytes-text": '{"name": "x", "kind": "nothing", "bytes": "x"}',
    "many": ", ".join(['{"name": "x", "kind": "nothing", "bytes": 0}'] * 5000),
}
"""Of such an answer, what one identify_* is said to have found."""

RAW = {
    "lengths-huge": "forge(b'F', b'{}', claims=(0xFFFFFFFF, 0xFFFFFFFF))",
    "payload-huge": "forge(b'A', b'{}', claims=(2, 0xFFFFFFFF))",
    "text-longer-than-sent": "forge(b'A', b'{}', claims=(500_000, 0))",
    "payload-longer-than-sent": "forge(b'A', b'{}', claims=(2, 500_000))",
    "text-shorter-than-sent": "forge(b'A', b'{}{}{}', claims=(1, 0))",
    "no-text": "forge(b'A', b'', claims=(0, 0))",
    "operation-unknown": "forge(b'?', b'{}')",
    "operation-nul": "forge(bytes(1), b'{}')",
    "end-before-the-end": "forge(b'E', b'')",
    "many-ends": "[forge(b'E', b'') for _ in range(50)]",
    "invalid-utf-8": "forge(b'F', bytes([0xFF, 0xFE, 0xC0]))",
    "utf-16": "forge(b'F', '{\"kind\": \"ok\"}'.encode('utf-16'))",
    "utf-32-without-mark": "forge(b'F', '{}'.encode('utf-32-be'))",
    "deep-lists": "forge(b'F', b'[' * 200_000)",
    "deep-objects": "forge(b'F', b'{\"a\":' * 100_000)",
    "many-answers": "[forge(b'F', {'kind': 'ok', 'value': 0, 'frame': 0}) for _ in range(300)]",
    "many-faults": "[forge(b'F', {'kind': 'error', 'frame': n, 'message': 'x' * 400}) for n in range(300)]",
    "noise": "[os.write(file, bytes(range(256)) * 16) for file in range(64) if opened(file)]",
    "zeros": "[os.write(file, bytes(4096)) for file in range(64) if opened(file)]",
    "flood": "[os.write(file, bytes(1 << 20)) for _ in range(64) for file in range(64) if opened(file)]",
    "half-a-header": "[os.write(file, b'F') for file in range(64) if opened(file)] and os._exit(0)",
    "channel-closed": "os.closerange(0, 1024)",
    "channel-closed-and-endless": """
        os.closerange(0, 1024)
        while True:
            pass
        """,
    "channel-read": "[os.read(file, 1 << 16) for file in range(64) if opened(file, 5)]",
    "channel-nonblocking": "[os.set_blocking(file, False) for file in range(64) if opened(file)]",
    "channel-duplicated": "[os.dup2(file, 0) for file in range(1, 64) if opened(file)]",
    "channel-shut": "[socket.socket(fileno=os.dup(file)).shutdown(2) for file in range(64) if opened(file)]",
    "nothing-sent": """
        os.write = None
        wire = sys.modules.get('vlmcar_core.sandbox.inside.wire')
        wire.write_all = lambda *a: None
        """,
}
"""What is done instead of a well-formed message."""

OPENED = '''
import select
import socket


def opened(file, events=4):
    """Whether a descriptor is there and ready to be written."""
    poll = select.poll()
    poll.register(file, events)
    return any(state & events for _, state in poll.poll(0))
'''


SILENT = ("text-longer-than-sent", "payload-longer-than-sent", "nothing-sent", "channel-closed-and-endless")
"""Those after which nothing comes any more; an inspection waits for that many times as long as one call may take."""


def _forges(name: str, statement: str, where: str = "check", silent: bool = False) -> Attack:
    """Does something as the worker while it is asked, or while it is inspected only."""
    statements = indent(dedent(statement), "    ")
    body = f"{statements}\n    return False" if where == "check" else "    return False"
    looked = "" if where == "check" else f"\n\ndef identify_it(image):\n{statements}\n"
    source = f"{looked}\n\ndef check(initial, current):\n{body}\n"
    frames, looks = (1, False) if silent else (3, True)
    return Attack(name, source, FORGE + OPENED, frames=frames, seconds=0.2, vain=True, looks=looks, bare="nobody")


ATTACKS = (
    *(_forges(f"forge-{name}", f"forge(b'F', b'''{text}''')") for name, text in ASKED.items()),
    *(_forges(f"forge-answer-{name}", f"forge(b'A', b'''{text}''')", "identify") for name, text in LOOKED.items()),
    *(_forges(f"forge-seen-{name}", f"forge(b'A', b'''{ANSWER % item}''')", "identify") for name, item in SEEN.items()),
    *(_forges(f"forge-{name}", statement, silent=name in SILENT) for name, statement in RAW.items()),
    Attack(
        "forge-while-loading",
        """
        forge(b"A", {"ready": True})
        forge(b"F", {"kind": "ok", "value": 1, "frame": 0})
        forge(b"E", b"")

        def check(initial, current):
            return False
        """,
        FORGE,
        frames=3,
        seconds=0.2,
        vain=True,
        looks=True,
        bare="nobody",
    ),
    Attack(
        "forge-while-loading-and-go",
        """
        forge(b"A", {})
        os._exit(0)

        def check(initial, current):
            return False
        """,
        FORGE,
        frames=3,
        seconds=0.2,
        vain=True,
        looks=True,
        bare="nobody",
    ),
)
