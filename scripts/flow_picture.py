"""The flow in one picture: docs/flow.svg, which is read on light and on dark.

python -m scripts.flow_picture
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path

OUT = Path(__file__).parent.parent / "docs" / "flow.svg"
WIDE, TALL, GAP, TOP = 138, 118, 24, 84
STYLE = """
  svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
  .ground { fill: #ffffff; } .box { fill: #f2f5f7; stroke: #1f6f8b; stroke-width: 1.5; }
  .name { font-weight: 600; font-size: 15px; } text { fill: #0b141d; } .told { fill: #3c4a56; }
  .way { stroke: #1f6f8b; stroke-width: 2; fill: none; marker-end: url(#tip); } .tip { fill: #1f6f8b; }
  .back { stroke: #b3541e; stroke-dasharray: 6 4; marker-end: url(#back); } .tip-back { fill: #b3541e; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #12181e; } .box { fill: #1c252d; stroke: #5cb8d6; } text { fill: #e6edf2; }
    .told { fill: #b9c6d0; } .way { stroke: #5cb8d6; } .tip { fill: #5cb8d6; }
    .back { stroke: #f0a36b; } .tip-back { fill: #f0a36b; }
  }
"""


@dataclass(frozen=True)
class Stage:
    """One box of the picture."""

    name: str
    told: tuple[str, ...]
    """At most four short lines."""


STAGES = (
    Stage("Task", ("an environment", "or two pictures:", "how it begins,", "how it looks done")),
    Stage("Record", ("expert and random", "episodes; or drive,", "or import your own")),
    Stage("Propose", ("a VLM, or what is", "built in: sub-tasks,", "one checker each,", "as Python")),
    Stage("Verify", ("every checker on", "every episode:", "accepted, rejected,", "undecided")),
    Stage("Train", ("checkers pay at", "every step; success", "is the environment's", "own word")),
    Stage("Take away", ("report, figures,", "and the reward as", "code of its own")),
)
LOOP = "repair by the model, edit by hand: every one is a new proposal"
BENEATH = "examine: made episodes, wrong versions of the code, attacks"


def left(index: int) -> int:
    return GAP + index * (WIDE + GAP)


def text(x: float, y: float, words: str, kind: str = "told") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="middle">{escape(words)}</text>'


def box(index: int, stage: Stage) -> list[str]:
    x = left(index)
    middle = x + WIDE / 2
    lines = [text(middle, TOP + 52 + 17 * row, words) for row, words in enumerate(stage.told)]
    frame = f'<rect class="box" x="{x}" y="{TOP}" width="{WIDE}" height="{TALL}" rx="8"/>'
    return [frame, text(middle, TOP + 26, stage.name, "name"), *lines]


def arrows() -> list[str]:
    forth = [
        f'<path class="way" d="M{left(index) - GAP + 3} {TOP + TALL / 2:g}H{left(index) - 8}"/>'
        for index in range(1, len(STAGES))
    ]
    begin, end = left(3) + WIDE / 2, left(2) + WIDE / 2
    back = f'<path class="way back" d="M{begin:g} {TOP}V{TOP - 30}H{end:g}V{TOP - 8}"/>'
    floor = TOP + TALL
    more = f'<path class="way" d="M{begin:g} {floor + 34}V{floor + 8}"/>'
    return [*forth, back, text((begin + end) / 2, TOP - 42, LOOP), more, text(begin, floor + 52, BENEATH)]


def tip(name: str, kind: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="5" markerHeight="5" orient="auto">'
        f'<path class="{kind}" d="M0 0L8 4L0 8z"/></marker>'
    )


def drawn() -> str:
    """The whole picture as SVG."""
    wide, tall = left(len(STAGES)), TOP + TALL + 76
    told = " → ".join(stage.name for stage in STAGES)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {wide} {tall}" width="{wide}" height="{tall}">',
        f"<title>The flow: {escape(told)}; from Verify back to Propose</title>",
        f"<style>{STYLE}</style><defs>{tip('tip', 'tip')}{tip('back', 'tip-back')}</defs>",
        f'<rect class="ground" width="{wide}" height="{tall}" rx="12"/>',
        *(line for index, stage in enumerate(STAGES) for line in box(index, stage)),
        *arrows(),
        "</svg>\n",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    OUT.write_text(drawn(), encoding="utf-8")
