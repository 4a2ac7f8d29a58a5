"""A session as one HTML file that needs no network. Whatever comes from a file or a checker is escaped."""

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import TypeVar

import numpy as np
import plotly.graph_objects as go

from vlmcar_core import alarm, chain, examinations, files, report_replay, runs, seeds, verdicts
from vlmcar_core.errors import DamagedFile
from vlmcar_core.escaping import for_html
from vlmcar_core.report_replay import Replay
from vlmcar_core.runs import Run
from vlmcar_core.store import Listing, Session
from vlmcar_core.types import Count, Frame, Proposal
from vlmcar_core.verdicts import Judged, Verification

T = TypeVar("T")

SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)
METHOD = (
    "<h2>About this page</h2><p class=small>Written by VLM-CaR Studio {version}. The method: D. Venuto, S. N. Islam, "
    "M. Klissarov, D. Precup, S. Yang, A. Anand, <i>Code as Reward: Empowering Reinforcement Learning with VLMs</i>, "
    "ICML 2024, arXiv:2402.04764. The studio is an independent implementation. This page loads and sends nothing.</p>"
)
STYLE = """
:root { color-scheme: light dark; --line: #8885; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
figure { margin: 0; } figcaption, .small { font-size: 0.85rem; opacity: 0.8; }
.frames { display: flex; flex-wrap: wrap; gap: 1rem; } .frames img { max-width: 100%; image-rendering: pixelated; }
.strip img { width: 120px; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { text-align: left; padding: 0.3rem 0.7rem; vertical-align: top;
  border-bottom: 1px solid var(--line); }
pre { overflow-x: auto; border: 1px solid var(--line); border-radius: 4px; padding: 0.8rem; font-size: 0.8rem; }
.accepted::before { content: "✓ "; color: #009e73; } .rejected::before { content: "✗ "; color: #d55e00; }
@media print { details > pre { display: block; white-space: pre-wrap; } details { page-break-inside: avoid; } }
.undecided::before { content: "? "; color: #b8860b; }
.doubt { border-left: 4px solid #e69f00; padding-left: 0.7rem; }
"""


def page(
    session: Session,
    trained: Listing[Run],
    figures: Sequence[go.Figure],
    fires: go.Figure | None = None,
    replay: Replay = Replay(),
) -> str:
    """The whole page.

    Args:
        session: what it is about.
        trained: its runs.
        figures: of these runs.
        fires: when each checker fired on each trajectory; None where that is not known.
        replay: the episodes that can be replayed in it.
    """
    listing = session.proposals()
    proposals = listing.items
    proposal = proposals[-1] if proposals else None
    damaged = [
        *listing.problems,
        *session.trajectories().problems,
        *session.verifications().problems,
        *trained.problems,
    ]
    task = _task(session, damaged)
    strip = _strip(session, proposal, damaged) if proposal else ""
    verification = session.verification(proposal.number or 0) if proposal else None
    plots = _plots([*([fires] if fires is not None else []), *figures])
    timeline, curves = (plots[0], plots[1:]) if fires is not None else ("", plots)
    parts = [
        _damaged(damaged),
        task,
        _proposal(proposal) if proposal else "<h2>Sub-tasks</h2><p>Nothing is proposed yet.</p>",
        _verdicts(proposal, verification) if proposal else "",
        f"<h3>When each checker fires first</h3>{timeline}" if timeline else "",
        _laboratory(session, proposal) if proposal else "",
        strip,
        report_replay.section(replay),
        _training(trained.items, curves),
        _history(proposals),
        _code(proposal) if proposal else "",
        METHOD.format(version=for_html(metadata.version("vlmcar-studio"))),
    ]
    title = f"{for_html(session.name)}: VLM-CaR report"
    script = report_replay.script(replay)
    live = f"<script>{script}</script>" if script else ""
    body = f"<h1>{title}</h1>{''.join(parts)}{live}"
    style = f"{STYLE}{report_replay.style(replay)}"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_policy([*plots, live])}">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{style}</style>'
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _plots(figures: Sequence[go.Figure]) -> list[str]:
    """Figures as HTML; the first one brings Plotly with it. Their button saves an SVG, twice as large as shown."""
    config = {"toImageButtonOptions": {"format": "svg", "scale": 2}, "displaylogo": False}
    return [
        figure.to_html(full_html=False, include_plotlyjs="inline" if number == 0 else False, config=config)
        for number, figure in enumerate(figures)
    ]


def _policy(parts: Sequence[str]) -> str:
    """What the page may do: show itself, and run its own scripts. It loads and sends nothing."""
    scripts = [script for part in parts for script in SCRIPT.findall(part)]
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _damaged(problems: Sequence[str]) -> str:
    """What this page leaves out because it could not be read; nothing where all could."""
    if not problems:
        return ""
    rows = "".join(f"<li>{for_html(problem)}</li>" for problem in problems)
    return f"<div class=doubt><p>Files that could not be read and are left out here:</p><ul>{rows}</ul></div>"


def _readable(read: Callable[[], T], damaged: list[str]) -> T | None:
    """What can be read; None where it cannot be, which joins what is damaged."""
    try:
        return read()
    except DamagedFile as error:
        damaged.append(str(error))
        return None


def _task(session: Session, damaged: list[str]) -> str:
    header, origin = session.header(), _readable(session.goal_origin, damaged)
    task, infos = header.task, session.trajectories().items
    what = f"{for_html(task.env_id)}, seed {for_html(task.seed)}" if task.env_id else "two frames, no environment"
    settings = f"; settings {for_html(dict(task.settings))}" if task.settings else ""
    counts = ", ".join(
        f"{sum(info.source == source for info in infos)} {for_html(source)}"
        for source in dict.fromkeys(i.source for i in infos)
    )
    packages = ", ".join(f"{name} {version}" for name, version in infos[0].versions.items()) if infos else ""
    came = f"Goal frame from {for_html(origin.trajectory or origin.name or origin.kind)}. " if origin else ""
    initial, goal = (_readable(read, damaged) for read in (lambda: session.initial, lambda: session.goal))
    pictures = _picture(initial, "initial frame") + _picture(goal, "goal frame")
    return (
        f"<p>{what}{settings}. Made {for_html(header.created)}.</p><div class=frames>{pictures}</div>"
        f"<p class=small>{came}Recorded: {counts or 'nothing'}; random episodes end after at most "
        f"{for_html(header.recording.random_steps)} steps. {for_html(packages)}</p>"
    )


def _picture(frame: Frame | None, caption: str) -> str:
    if frame is None:
        return f"<figure><figcaption>{for_html(caption)}: none</figcaption></figure>"
    data = base64.b64encode(files.png(frame)).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="{for_html(caption)}">'
    return f"<figure>{image}<figcaption>{for_html(caption)}</figcaption></figure>"


def _proposal(proposal: Proposal) -> str:
    steps = "".join(
        f"<li>{for_html(step.title)}"
        + (f"<p class=doubt>Doubt: {for_html(step.doubt)}</p>" if step.doubt else "")
        + "</li>"
        for step in proposal.subtasks
    )
    doubts = "".join(f"<p class=doubt>Doubt: {for_html(doubt)}</p>" for doubt in proposal.doubts)
    return (
        f"<h2>Sub-tasks</h2><p>Proposal {proposal.number} by <b>{for_html(proposal.author)}</b>. "
        f"Goal: {for_html(proposal.goal.title)}</p>{doubts}<ol>{steps}</ol>"
    )


def _verdicts(proposal: Proposal, verification: Verification | None) -> str:
    if verification is None:
        return "<h2>Verification</h2><p>Not verified yet.</p>"
    rows = "".join(
        f"<tr><td>{'Goal: ' if step is proposal.goal else ''}{for_html(step.title)}</td>"
        f"{_judged(verdicts.judge_checker(verdict, verification))}"
        f"<td>{_rate(verdict.expert)}</td><td>{_rate(verdict.random)}</td>"
        f"<td><code>{for_html(verdict.digest[:12])}</code></td></tr>"
        for step in proposal.steps
        for verdict in [verification.verdict(step.key)]
    )
    whole = f"<tr><td><b>the whole, in order</b></td>{_judged(verdicts.judge_whole(verification))}"
    whole += f"<td>{_rate(verification.expert)}</td><td>{_rate(verification.random)}</td><td></td></tr>"
    limits = verification.thresholds
    return (
        "<h2>Verification</h2><div class=scroll><table><tr><th>checker<th>verdict<th>expert episodes<th>random episodes"
        f"<th>source, SHA-256</tr>{rows}{whole}</table></div><p class=small>Counts with two-sided 95 % Clopper–Pearson "
        f"intervals. Random episodes end after at most {verification.random_steps} steps; {verification.random_solved} "
        f"that the environment calls solved are left out of the last line. Limit {limits.random_limit:.0%} at "
        f"{limits.confidence:.0%} confidence, at least {for_html(limits.min_experts)} experts. Verified "
        f"{for_html(verification.created)} on {len(verification.trajectories)} trajectories.</p>"
    )


def _laboratory(session: Session, proposal: Proposal) -> str:
    """What more than recorded experts and random walks was brought against the checkers; nothing where nothing was."""
    examination = session.examination(proposal.number or 0)
    if examination is None:
        return ""
    titles = {step.key: step.title for step in proposal.steps}
    rows = "".join(
        f"<tr><td>{for_html(titles.get(found.key, found.key))}</td>{_judged(examinations.judge(found))}"
        f"<td>{_rate(found.mutation.killed) if found.mutation else 'not tried'}</td>"
        f"<td>{_rate(found.coverage.taken) if found.coverage else 'not known'}</td></tr>"
        for found in examination.checkers
    )
    return (
        "<h2>In the laboratory</h2><div class=scroll><table><tr><th>checker<th>verdict<th>wrong versions told from it"
        f"<th>branches taken</tr>{rows}</table></div><p class=small>Over {for_html(examination.episodes)} recorded and "
        f"{for_html(examination.made)} made episodes, {for_html(examination.created)}.</p>"
    )


def _judged(judged: Judged) -> str:
    reason = f"<span class=small>{for_html(judged.reason)}</span>"
    return f"<td><b class={judged.judgement}>{judged.judgement}</b><br>{reason}</td>"


def _rate(count: Count) -> str:
    if count.rate is None:
        return "none"
    low, high = verdicts.interval(count)
    return f"{count.hits} of {count.total}<br><span class=small>{count.rate:.0%} ({low:.0%} to {high:.0%})</span>"


def _strip(session: Session, proposal: Proposal, damaged: list[str]) -> str:
    """The first expert's frames in which sub-tasks were completed."""
    expert = next((info for info in session.trajectories().items if info.source == "expert"), None)
    if expert is None or not proposal.subtasks:
        return ""
    said = [session.answers(step.checker.digest, expert.id) for step in proposal.subtasks]
    done = [answers.done for answers in said if answers is not None]
    if len(done) < len(said):
        return ""
    recorded = _readable(lambda: session.trajectory(expert.id), damaged)
    if recorded is None:
        return ""
    frames = recorded.frames
    pictures = [_picture(frames[0], "frame 0")]
    for step, frame in zip(proposal.subtasks, chain.completions(np.stack(done, axis=1)), strict=True):
        if frame is not None:
            pictures.append(_picture(frames[frame], f"frame {frame}: {step.title}"))
    return f'<h2>How {for_html(expert.id)} does it</h2><div class="frames strip">{"".join(pictures)}</div>'


def _training(trained: Sequence[Run], plots: Sequence[str]) -> str:
    if not trained:
        return "<h2>Training</h2><p>Not trained yet.</p>"
    rows = "".join(_run(run) for run in trained)
    names = (
        "run",
        "reward",
        "proposal",
        "own reward kept",
        "seed",
        "steps, of",
        "state",
        "steps to 80 %",
        "final success",
    )
    table = f"<tr><th>{'<th>'.join(names)}</tr>"
    return (
        f"<h2>Training</h2>{''.join(plots)}{_experiments(trained)}"
        f"<div class=scroll><table>{table}{rows}</table></div><p class=small>"
        "Success is the environment's own, on seeds that training does not use; steps to 80 % by those evaluations.</p>"
    )


def _experiments(trained: Sequence[Run]) -> str:
    """All seeds of each experiment together, and what the hack alarm says."""
    rows = seeds.table(seeds.groups(trained))
    if not rows:
        return ""
    head = f"<tr><th>{'<th>'.join(for_html(name) for name in rows[0])}</tr>"
    body = "".join("<tr>" + "".join(f"<td>{for_html(text)}</td>" for text in row.values()) + "</tr>" for row in rows)
    alarms = ""
    for run in trained:
        seen = alarm.look(run.config, runs.read_evaluations(run.folder))
        if seen is not None and seen.level == "alarm":
            alarms += f"<p class=doubt><b>Hack alarm, run {run.number}</b>: {for_html(seen.words)}.</p>"
    return f"<div class=scroll><table>{head}{body}</table></div><p class=small>{for_html(seeds.TABLE_NOTE)}</p>{alarms}"


def _run(run: Run) -> str:
    found = runs.summary(runs.read_evaluations(run.folder))
    learned = f"{found.steps_to_learned:,}" if found.steps_to_learned is not None else "not reached"
    final = f"{found.final_success:.0%} of {found.episodes}" if found.final_success is not None else "not evaluated"
    config = run.config
    rows = runs.read_progress(run.folder)
    steps = f"{min(rows[-1]['steps'], config.steps) if rows else 0:,} of {config.steps:,}"
    proposal = config.proposal if config.proposal is not None else "none"
    kept = "yes" if config.env_reward or config.reward == "sparse" else "no"
    cells = (run.number, config.reward, proposal, kept, config.seed, steps, run.job.state, learned, final)
    return "<tr>" + "".join(f"<td>{for_html(cell)}</td>" for cell in cells) + "</tr>"


def _history(proposals: Sequence[Proposal]) -> str:
    if len(proposals) < 2:
        return ""
    rows = "".join(
        f"<tr><td>{p.number}</td><td>{for_html(p.author)}</td><td>{for_html(p.created)}</td><td>{for_html(p.reason)}</td></tr>"
        for p in proposals
    )
    return (
        f"<h2>History</h2><div class=scroll><table><tr><th>proposal<th>author<th>when<th>why</tr>{rows}</table></div>"
    )


def _code(proposal: Proposal) -> str:
    blocks = "".join(
        f"<details open><summary>{for_html(step.title)}</summary><pre>{for_html(step.checker.source)}</pre></details>"
        for step in proposal.steps
    )
    return f"<h2>Code</h2>{blocks}"
