"""Does a model see? A tiny picture of four colours, and whether the model names each in its place."""

import random

import numpy as np

from vlmcar_core import pictures
from vlmcar_core.dialogue import EyeTest, Message, Question, Vlm
from vlmcar_core.files import png
from vlmcar_core.servers import Server

QUOTED_CHARS = 300


def eye_test(vlm: Vlm) -> EyeTest:
    """Send a tiny picture of four colours and look whether the model names each in its place.

    A model that sees nothing guesses all four with a chance of 1 in 360.

    Raises:
        VlmError: the server does not answer as it should; `NoVision` where it takes no pictures.
    """
    shown, data = eye_picture(random.Random())
    colours = ", ".join(COLOURS)
    text = (
        "The picture has four squares, each of one colour. Name the colours in this order: top left, top right, "
        f"bottom left, bottom right. Answer with four words of: {colours}."
    )
    question = Question("eye-test", 1, (Message("user", text, ("eye-test.png",)),), {"eye-test.png": data}, None)
    reply = vlm.answer(question, lambda _piece: None)
    named = [word for word in "".join(c if c.isalpha() else " " for c in reply.text.lower()).split() if word in COLOURS]
    right = sum(one == other for one, other in zip(shown, named[-4:], strict=False))
    return EyeTest(right == 4, right, shown, " ".join(reply.text.split())[:QUOTED_CHARS], reply.seconds, reply)


def verdict(test: EyeTest, server: Server) -> str:
    """What came of the test, in a sentence."""
    shown, seconds = ", ".join(test.shown), f"{test.seconds:.1f} s"
    if test.sees:
        return f"{server.title} sees: it named all four colours ({shown}) in {seconds}"
    known = "it answers, but does not see the picture" if test.right < 2 else "it sees the picture poorly"
    return f"{server.title}: {known}: shown were {shown}, it said {test.said!r} ({seconds})"


COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 170, 50),
    "blue": (40, 70, 230),
    "yellow": (245, 220, 40),
    "black": (10, 10, 10),
    "white": (250, 250, 250),
}
EYE_PIXELS = 64


def eye_picture(chance: random.Random) -> tuple[tuple[str, ...], bytes]:
    """Four colours, and a PNG of 128 × 128 pixels that shows them."""
    names = tuple(chance.sample(sorted(COLOURS), 4))
    squares = np.array([COLOURS[name] for name in names], np.uint8).reshape(2, 2, 3)
    return names, png(pictures.scaled(squares, EYE_PIXELS))
