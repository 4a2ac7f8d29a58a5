"""What learners tell of their updates, each number in a chart of its own: their sizes have nothing to do with each
other. Names are those of Stable-Baselines3's logs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vlmcar_core.report import FIRES
from vlmcar_studio.charts import Chart, Line

CHARTS_MAX = 12
"""A learner tells seven at most; a stranger's file may hold any number."""


class Measure(NamedTuple):
    """How a number is shown."""

    title: str
    note: str = ""
    sign: float = 1.0
    unit: str = ""


MEASURES = {
    "loss": Measure("Loss", "What each update makes smaller."),
    "policy_gradient_loss": Measure("Policy loss", "A part of the loss; near 0, whatever is learned."),
    "policy_loss": Measure("Policy loss", "A part of the loss."),
    "value_loss": Measure("Value loss", "Squared error of what returns are expected."),
    "actor_loss": Measure("Actor loss", "The more return the critic expects, the lower."),
    "critic_loss": Measure("Critic loss", "Squared error of what returns are expected."),
    "entropy_loss": Measure(
        "Entropy of the policy", "In nats: ln 7 = 1.95 where 7 actions are as likely, 0 where one is sure.", -1.0
    ),
    "ent_coef": Measure("Weight of the entropy", "It is learned where its setting is auto."),
    "ent_coef_loss": Measure("Loss of the entropy's weight"),
    "approx_kl": Measure("Change of the policy by an update", "KL divergence, about, in nats."),
    "clip_fraction": Measure("Samples whose update was clipped", unit="%"),
    "explained_variance": Measure(
        "Explained variance of returns", "1: the value is right; 0: no better than a constant."
    ),
}


def learner_charts(rows: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """A chart for each number that the learner told in some row; those that are known come first, in a fixed order.

    Args:
        rows: of a run's progress; at least one.
    """
    some = [*rows[:: max(1, len(rows) // 100)], rows[-1]]
    told = dict.fromkeys(name for row in some for name in row["losses"])
    names = [*(name for name in MEASURES if name in told), *sorted(name for name in told if name not in MEASURES)]
    return [_chart(rows, name, number) for number, name in enumerate(names[:CHARTS_MAX])]


def _chart(rows: Sequence[Mapping[str, Any]], name: str, number: int) -> Chart:
    measure = MEASURES.get(name, Measure(name))
    values = [measure.sign * row["losses"].get(name, np.nan) for row in rows]
    line = Line("this run", [row["steps"] for row in rows], values, FIRES[0])
    return Chart(f"learner-{number}", measure.title, [line], measure.unit, measure.note)
