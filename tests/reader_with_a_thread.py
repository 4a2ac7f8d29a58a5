"""The reader of films in a process that has another thread, which no seal would hold."""

import threading
from collections.abc import Sequence

from vlmcar_core.readers import _inside


def main(arguments: Sequence[str]) -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    _inside.main(["video", *arguments])
