"""A bundle's card, for people: what it rewards, how that was verified, who made it, and what it does not promise."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from vlmcar_core import examinations, runs, verdicts
from vlmcar_core.envs import Standalone
from vlmcar_core.escaping import one_line
from vlmcar_core.export.evidence import Evidence
from vlmcar_core.export.source import Source
from vlmcar_core.payments import FARMED, WAYS, Payment
from vlmcar_core.types import Count

SIGNS = re.compile(r"([\\`*_\[\]<>#|!&~$@]|:(?=//)|www\.)")

COPIED = """The checkers look at frames that code of the studio's own draws. It is in `studio/`, and
`environment.make()` makes the environment that it draws, with the packages of `requirements-demo.txt`. In another
picture of the same scene the checkers may see anything: keep to `environment.scene`, or verify anew on yours."""

CAMERA = """**What draws the frames that the checkers look at is not in this bundle.** In another picture of the same
scene they may see anything: give `CheckerReward` a `scene` that draws as the recorded frames in `tests/frames` are
drawn, or verify anew on yours."""


def text(source: Source, evidence: Evidence) -> str:
    """The card as Markdown; words of a stranger are words in it."""
    parts = (_head(source), _rewards(source), _verified(source), _made(source), _use(source), _limits(source, evidence))
    return "\n".join(line for part in parts for line in part)


def plain(words: object) -> str:
    """A stranger's words as words in Markdown: no link, picture, tag or table of them."""
    return SIGNS.sub(r"\\\1", one_line(str(words)))


def _head(source: Source) -> Iterator[str]:
    judged = verdicts.judge_whole(source.verification)
    task = source.task
    where = f"`{plain(task.env_id)}`" if task.env_id else "recorded frames; no environment"
    yield f"# A reward of checkers: {plain(source.session.name)}"
    yield ""
    yield f"Goal: {plain(source.proposal.goal.title.rstrip('.'))}. For {where}, from proposal {source.proposal.number}."
    yield ""
    yield f"Verification: **{judged.judgement}**. {plain(judged.reason)}."
    yield ""
    yield "**Nothing contains the checkers here.** They run in your process, with everything that you may do, where the"
    yield "studio seals each in a process of its own. They are short: read `checkers/` before you import them."
    yield ""


def _rewards(source: Source) -> Iterator[str]:
    yield "## What is rewarded"
    yield ""
    yield "In this order; each counts once those before it are done, and what is done in the first frame is never paid."
    yield ""
    for number, step in enumerate(source.paid, 1):
        doubt = f" Doubt: {plain(step.doubt)}" if step.doubt else ""
        yield f"{number}. {plain(step.title)} (`{step.key}`, `checkers/{source.files[step.key]}.py`).{doubt}"
    yield ""
    for doubt in source.proposal.doubts:
        yield f"Doubt: {plain(doubt)}"
        yield ""
    yield "Ways to pay that are in `reward.PAYMENTS`; the first is the default, the others are those that runs used:"
    yield ""
    for name, payment in source.payments.items():
        yield f"- `{plain(name)}`: {_paid(payment)}"
    yield ""
    yield f"`paying/payments.py` has the formulas, and the other ways: {', '.join(WAYS)}."
    yield ""


def _paid(payment: Payment) -> str:
    found = f"{WAYS[payment.way].partition(': ')[2]}; {payment.scale:g} in all"
    if payment.weights:
        found += f", weights {plain(dict(payment.weights))}"
    if payment.undo:
        found += f", undoing costs {payment.undo:g} of it"
    if payment.way == "potential":
        found += f", discount {payment.discount:g}"
    return found + (" **Can be farmed: for study alone.**" if payment.way in FARMED else "")


def _verified(source: Source) -> Iterator[str]:
    verification = source.verification
    limits = verification.thresholds
    yield "## How it was verified"
    yield ""
    yield f"{plain(verification.created)}, on {len(verification.trajectories)} recorded trajectories. Counts with"
    yield "two-sided 95 % Clopper–Pearson intervals."
    yield ""
    rows = [("checker", "verdict", "expert episodes", "random episodes", "why"), ("---",) * 5]
    titles = {step.key: step.title for step in source.proposal.steps}
    for verdict in verification.verdicts:
        judged = verdicts.judge_checker(verdict, verification)
        name = plain(titles.get(verdict.key, verdict.key))
        counts = _rate(verdict.expert), _rate(verdict.random)
        rows.append((name, judged.judgement, *counts, plain(judged.reason)))
    whole = verdicts.judge_whole(verification)
    counts = _rate(verification.expert), _rate(verification.random)
    rows.append(("**the whole, in order**", f"**{whole.judgement}**", *counts, plain(whole.reason)))
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""
    yield f"Random episodes end after at most {verification.random_steps} steps; {verification.random_solved} that the"
    yield f"environment calls solved are left out of the last line. Limit {limits.random_limit:.0%} at"
    yield f"{limits.confidence:.0%} confidence; at least {limits.min_experts} experts."
    yield ""
    yield from _examined(source)
    yield from _trained(source)


def _examined(source: Source) -> Iterator[str]:
    found = source.examination
    if found is None:
        yield "It was not examined in the laboratory (`vlmcar examine`): against the simulator's facts, made episodes,"
        yield "changes of the picture and wrong versions of itself."
        yield ""
        return
    yield f"In the laboratory, against {found.episodes} recorded and {found.made} made episodes:"
    yield ""
    for examined in found.checkers:
        judged = examinations.judge(examined)
        yield f"- `{examined.key}`: {judged.judgement}. {plain(judged.reason)}"
    yield ""


def _trained(source: Source) -> Iterator[str]:
    if not source.trained:
        yield "Nothing was trained with it."
        yield ""
        return
    yield "Trained with it, success by the environment's own word:"
    yield ""
    for run in source.trained:
        found = runs.summary(runs.read_evaluations(run.folder))
        final = "not evaluated" if found.final_success is None else f"{found.final_success:.0%} of {found.episodes}"
        config = run.config
        kept = "beside the environment's reward" if config.env_reward else "alone"
        yield f"- run {run.number}: {plain(config.trainer)}, {plain(config.pay)}, {kept}, seed {config.seed}: {final}"
    yield ""


def _rate(count: Count) -> str:
    if count.rate is None:
        return "none"
    low, high = verdicts.interval(count)
    return f"{count.hits} of {count.total} ({low:.0%} to {high:.0%})"


def _made(source: Source) -> Iterator[str]:
    yield "## Who made it"
    yield ""
    for proposal in source.ancestry:
        why = f": {plain(proposal.reason)}" if proposal.reason else ""
        yield f"- proposal {proposal.number} by {plain(proposal.author)}, {plain(proposal.created)}{why}"
    yield ""
    for dialogue in source.dialogues:
        yield f"Conversation {dialogue.number} with {plain(dialogue.model)}; its prompts by hash in `manifest.json`."
        yield ""
    for author, count in Counter(mark.author for mark in source.marks).items():
        yield f"{plain(author)} looked at recorded frames and marked {count} spans of them by eye."
        yield ""
    last = source.ancestry[-1]
    yield f"As it is, it stands by the word of {plain(last.author)}; the verdict above is counted, not anybody's word."
    yield ""


def _use(source: Source) -> Iterator[str]:
    potential = any(payment.way == "potential" for payment in source.payments.values())
    success = ", succeeded=succeeded" if potential else ""
    alone = source.standalone
    made = "environment.make()" if alone is not None and alone.modules else "your_environment"
    scene = ", scene=environment.scene" if alone is not None else ""
    yield "## Use"
    yield ""
    yield "```python"
    yield f"from reward import Reward{', succeeded' if potential else ''}  # with this folder on the path"
    yield "from wrapper import CheckerReward"
    if scene:
        yield "import environment  # how the frames were drawn; environment.make() makes the task's own"
    yield ""
    yield f"env = CheckerReward({made}, Reward(){scene}{success})"
    yield "```"
    yield ""
    yield "The environment's reward is kept beside it (`env_reward=False` leaves it out). `sb3_wrapper.py` is the same"
    yield "for Stable-Baselines3's vectorised environments. Without a wrapper: `reward.begin(frame)`, then"
    yield "`total, components = reward(frame)`; or `compute_reward(frames)` for a whole episode."
    yield ""
    yield from _tried(alone)


def _tried(alone: Standalone | None) -> Iterator[str]:
    """What to run first, and what it needs."""
    yield "```sh"
    yield "python -m pip install -r requirements.txt"
    yield "python -m unittest discover tests      # what was answered and paid is answered and paid here"
    yield "python demo.py                         # recorded episodes, their frames shown again"
    if alone is not None:
        yield "python -m pip install -r requirements-demo.txt"
        yield "python demo.py                         # the same actions in the environment itself"
    yield "```"
    yield ""
    if alone is not None and alone.note:
        yield f"{alone.note}."
        yield ""


def _limits(source: Source, evidence: Evidence) -> Iterator[str]:
    yield "## Limits"
    yield ""
    alone = source.standalone
    if source.task.env_id is not None and (alone is None or alone.modules):
        yield CAMERA if alone is None else COPIED
        yield ""
    for note in _notes(source, evidence):
        yield f"- {note}"
    yield ""


def _notes(source: Source, evidence: Evidence) -> Sequence[str]:
    size = next(iter(source.infos.values())).shape if source.infos else None
    return [
        *([f"Verified on frames of {size[1]} × {size[0]} pixels; other sizes were never tried."] if size else []),
        "What no recorded episode shows was never judged: behaviour that is rewarded and should not be may remain.",
        "Time and memory of a checker are not bounded here, as they are in the studio.",
        "A checker that fails pays nothing in that step; `info['vlmcar']['faults']` says so.",
        "Versions of NumPy and OpenCV other than those of `manifest.json` may answer otherwise; the tests tell.",
        *(plain(note) for note in (*source.notes, *evidence.notes)),
    ]
