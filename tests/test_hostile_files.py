"""A stranger's session: whatever its files are, nothing outside is read or written, nothing hangs, nothing runs."""

import ast
import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts import fuzz_specimen
from scripts.fuzz_specimen import NAME, read_everything
from tests.strangers import contents, within
from vlmcar_core import (
    archives,
    dialogues,
    files,
    history,
    jobs,
    pipeline,
    policies,
    rollouts,
    runs,
    strict,
    sweeps,
)
from vlmcar_core.errors import BadInput, DamagedFile, VlmcarError
from vlmcar_core.marks import Mark
from vlmcar_core.store import GoalOrigin, Session, sessions
from vlmcar_core.types import Answers, Count, Recording, Task, Thresholds
from vlmcar_core.verdicts import Verification, judge_whole, smallest_sample

FILES = (
    "session.json",
    "draft.json",
    "marks.jsonl",
    "frames/initial.png",
    "frames/goal.png",
    "frames/goal.json",
    "prompts/goal.md",
    "trajectories/expert-000.zip",
    "proposals/000/proposal.json",
    "proposals/000/goal.py",
    "dialogues/000/dialogue.json",
    "dialogues/000/000-goal.json",
    "dialogues/000/proposal.json",
    "dialogues/001/goal.png",
    "dialogues/001/partial.txt",
    "dialogues/000/frames/initial.png",
    "verdicts/000.json",
    "runs/000/config.json",
    "runs/000/status.json",
    "runs/000/launch.json",
    "runs/000/log.txt",
    "runs/000/progress.jsonl",
    "runs/000/evaluation.jsonl",
    "runs/000/model.zip",
    "jobs/000-verify/status.json",
    "sweeps/000.json",
)
JSON_FILES = tuple(name for name in FILES if name.endswith(".json"))
FOLDERS = (
    *("frames", "trajectories", "proposals", "proposals/000", "dialogues", "dialogues/000", "dialogues/000/frames"),
    *("verdicts", "prompts", "runs", "runs/000", "jobs", "jobs/000-verify", "answers", "sweeps"),
)


@pytest.fixture
def root(strangers: Path) -> Path:
    return strangers


@pytest.fixture
def session(root: Path) -> Session:
    return Session(root / NAME)


def write_everything(session: Session) -> list[str]:
    """Everything that writes into a session; returns what is refused."""
    proposal = fuzz_specimen.proposal()
    verification = Verification(0, (), Count(0, 0), Count(0, 0), 0, 1, Thresholds())
    writers: tuple[Callable[[], Any], ...] = (
        lambda: session.set_initial(fuzz_specimen.picture(1)),
        lambda: session.set_goal(fuzz_specimen.picture(1), GoalOrigin("upload")),
        lambda: session.add_trajectory(fuzz_specimen.trajectory()),
        lambda: session.add_proposal(proposal),
        lambda: session.save_draft(proposal),
        lambda: session.add_mark(Mark("expert-000", 0, 1, "paint-it", True, "me")),
        lambda: session.save_answers("a" * 64, "expert-000", Answers(np.zeros(4, np.float32))),
        lambda: session.add_verification(verification),
        lambda: session.set_own_prompt("goal", "mine"),
        lambda: dialogues.begin(session, dialogues.read(session.dialogue_folder(1)).header, {"a.png": b""}, {}),
        lambda: dialogues.Partial(dialogues.read(session.dialogue_folder(0)))("text"),
        lambda: session.new_job_folder("show"),
        lambda: pipeline.restore(session, 0, "me"),
        lambda: session.remove_trajectories("expert"),
        session.new_run_folder,
        lambda: runs.append(session.run_folder(0), runs.PROGRESS, {"steps": 1, "episodes": 1}),
        lambda: policies.save(fuzz_specimen.policy(), session.run_folder(0) / runs.MODEL),
        lambda: jobs.cancel(session.run_folder(0)),
        lambda: sweeps.add(session, sweeps.Plan((session.name,), {}, 1, 1, (0,))),
        lambda: jobs.cancel(session.job_folders()[0]) if session.job_folders() else None,
    )
    refused = []
    for write in writers:
        try:
            write()
        except VlmcarError as error:
            refused.append(str(error))
    return refused


# One door

ELSEWHERE = {
    "files.py": "it is the door",
    "archives.py": "what it is given came through the door",
    "decoding.py": "what it is given came through the door",
    "strict.py": "what it is given came through the door",
    "recordings.py": "writes zip files",
    "policies.py": "writes zip files",
    "trainers/_checkpoints.py": "writes zip files",
    "hyperparameters.py": "a text that the person gives, read by yaml.safe_load",
    "reading.py": "a model's answer",
    "servers.py": "a text of the command line",
    "replay_server.py": "a request",
    "prompts/__init__.py": "comes with the package",
    "replaying.py": "a log that the person names",
    "launchers/_relay.py": "what a worker prints",
    "known.py": "a table of numbers of this machine, in a folder that nobody else may write",
    "boards.py": "makes new files in a folder that came through the door",
    "packing.py": "writes zip files, and unpacks into a folder that it makes",
    "export/__init__.py": "writes zip files",
    "export/code.py": "a module of ours",
    "export/copying.py": "a module of ours",
    "export/parts/test_reward.py": "comes with a bundle and runs without us",
    "export/parts/recorded.py": "comes with a bundle and runs without us",
    "player/__init__.py": "comes with the package",
    "readers/__init__.py": "the first bytes of a file that the person names",
    "readers/video.py": "a file that the person names, in a process apart",
    "readers/_inside.py": "what a process apart is asked, and writes",
    "cli/base.py": "a file that the person names",
    "cli/monitoring.py": "a text of the command line",
    "cli/task.py": "a text of the command line",
}
"""Modules that may open or parse without `files`, and why."""

OPENING = re.compile(
    r"(?<!files)(?<!Session)\.open\(|(?<!files)\.read_(?:text|bytes)\(|(?<![\w.])(?<!def )open\(|ZipFile\(|json\.loads?\("
    r"|\b(?:np|numpy|torch)\.load|Image\.open|pickle|marshal|shelve|joblib|yaml|\beval\(|\bexec\("
)


def test_a_file_of_a_session_is_opened_in_one_place_and_nothing_is_unpickled() -> None:
    core = Path(files.__file__).parent
    found = {}
    for path in core.rglob("*.py"):
        name = str(path.relative_to(core))
        if name.split("/")[0] in ("sandbox", "envs") or name in ELSEWHERE:
            continue
        code = ast.unparse(_without_docstrings(ast.parse(path.read_text(encoding="utf-8"))))
        if used := OPENING.findall(code):
            found[name] = used
    assert not found
    for name in ELSEWHERE:
        code = ast.unparse(_without_docstrings(ast.parse((core / name).read_text())))
        assert "pickle" not in code.replace("allow_pickle=False", ""), name


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """The code alone: no texts that stand by themselves, and no messages."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
        if isinstance(node, ast.JoinedStr):
            node.values = []
    return tree


# Links


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_place_of_a_file_is_named_and_not_followed(session: Session, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    secret = outside / "secret"
    (session.folder / name).rename(secret)
    (session.folder / name).symlink_to(secret)
    before = contents(outside)
    assert any(f"{Path(name).name} is a link" in said for said in read_everything(session.folder.parent)), name
    write_everything(session)
    assert contents(outside) == before


@pytest.mark.parametrize("name", FILES)
def test_a_link_that_leads_nowhere_makes_nothing_there(session: Session, tmp_path: Path, name: str) -> None:
    (session.folder / name).unlink()
    (session.folder / name).symlink_to(tmp_path / "made-by-us")
    assert any(f"{Path(name).name} is a link" in said for said in read_everything(session.folder.parent)), name
    write_everything(session)
    assert not (tmp_path / "made-by-us").exists()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_link_in_place_of_a_folder_is_not_entered(session: Session, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (session.folder / name).rename(outside)
    (session.folder / name).symlink_to(outside)
    before = contents(outside)
    said = read_everything(session.folder.parent)
    if name not in ("answers", "jobs/000-verify"):  # a cache; and a job that is passed over
        assert any(f"{name.rpartition('/')[2]} is a link" in line for line in said), said
    refused = write_everything(session)
    assert refused or "/" in name
    assert contents(outside) == before


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_a_file_that_is_swapped_while_it_is_opened_is_not_followed_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "secret").write_text("secret")
    path = tmp_path / "file"

    def swap(_path: Path, _found: os.stat_result) -> None:
        path.unlink()
        path.symlink_to(tmp_path / "secret") if kind == "link" else os.mkfifo(path)

    path.write_text("plain")
    monkeypatch.setattr(files, "_check_plain", swap)
    with within(5):
        try:
            assert files.read_bytes(path, 100) == b"" and kind == "fifo"
        except DamagedFile:
            assert kind == "link"


def test_a_picture_that_is_a_link_is_sent_to_nobody(session: Session, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    path = session.folder / "dialogues" / "001" / "goal.png"
    path.unlink()
    path.symlink_to(tmp_path / "key")
    with pytest.raises(DamagedFile, match=r"goal\.png is a link"):
        assert dialogues.read(session.dialogue_folder(1)).question


# Files that are none, or are too large


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "device"])
def test_what_is_no_plain_file_is_named_and_never_waited_for(session: Session, name: str, kind: str) -> None:
    path = session.folder / name
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        mode, device = (stat.S_IFSOCK, 0) if kind == "socket" else (stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
        try:
            os.mknod(path, mode | 0o600, device)
        except PermissionError:
            pytest.skip("devices are made by root alone")
    with within(20):
        assert any(f"{path.name} is no plain file" in said for said in read_everything(session.folder.parent))
        write_everything(session)


@pytest.mark.parametrize("name", FILES)
def test_a_huge_file_is_named_and_not_read(session: Session, name: str) -> None:
    os.truncate(session.folder / name, 2**40)
    with within(20):
        said = read_everything(session.folder.parent)
    if not name.endswith("log.txt"):
        assert any(f"{Path(name).name} is larger than" in line for line in said), said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(session: Session) -> None:
    for name in FILES:
        (session.folder / name).chmod(0)
        assert any(Path(name).name in said for said in read_everything(session.folder.parent)), name
        (session.folder / name).chmod(0o600)


@pytest.mark.parametrize("name", [name for name in FOLDERS if name not in ("answers", "jobs/000-verify")])
def test_a_file_in_place_of_a_folder_is_named(session: Session, name: str) -> None:
    shutil.rmtree(session.folder / name)
    (session.folder / name).write_bytes(b"")
    said = read_everything(session.folder.parent)
    assert any("no folder" in line for line in said), said
    write_everything(session)


def test_a_dangling_link_in_a_session_does_not_hide_the_others(root: Path, session: Session) -> None:
    Session.create(root, "other", Task(None, None))
    (session.folder / "zzz").symlink_to("/nowhere/at/all")
    (root / "linked").symlink_to(root / "other")
    assert set(sessions(root).items) == {NAME, "other", "linked"}


# Names


@pytest.mark.parametrize(
    "name",
    [
        "expert-\u00b2.zip",
        "expert-\u0663.zip",
        "expert-99999999999999999999.zip",
        "a b.zip",
        "x\x1b]0;evil\x07.zip",
        b"expert-\xff.zip",
    ],
)
def test_a_trajectory_of_an_odd_name_is_named_as_text_and_harms_no_other(session: Session, name: str | bytes) -> None:
    folder = session.folder / "trajectories"
    shutil.copy(folder / "expert-000.zip", folder / os.fsdecode(name))
    listing = session.trajectories()
    assert len(listing.items) >= 4 and all(line.isprintable() for line in listing.problems)
    assert session.add_trajectory(fuzz_specimen.trajectory()) == "expert-002"
    for info in listing.items:
        session.trajectory(info.id)


@pytest.mark.parametrize("kind", ["runs", "dialogues", "proposals", "jobs"])
@pytest.mark.parametrize("name", ["00", "0000", "0abc", "000x", "\u00b2", "9" * 40, "001 ", "-1"])
def test_a_folder_of_an_odd_number_is_none_of_ours(session: Session, kind: str, name: str) -> None:
    before = read_everything(session.folder.parent)
    (session.folder / kind / name).mkdir()
    assert read_everything(session.folder.parent) == before
    assert session.new_run_folder().name == "001" and session.new_job_folder("show").name == "001-show"


def test_numbers_that_are_used_up_are_told(session: Session) -> None:
    (session.folder / "runs" / "999999999").mkdir()
    with within(5), pytest.raises(DamagedFile, match="used up"):
        session.new_run_folder()


@pytest.mark.parametrize("key", ["../../../evil", "/etc/passwd", "a/b", "..", "", "a\0b", "A", "x" * 49])
def test_a_key_that_is_a_path_is_damage(session: Session, key: str) -> None:
    path = session.folder / "proposals" / "000" / "proposal.json"
    value = json.loads(path.read_text())
    value["subtasks"][0]["key"] = key
    path.write_text(json.dumps(value))
    assert "a key is at most 48 characters" in session.proposals().problems[0]


@pytest.mark.parametrize("id", ["../../secret", "/etc/passwd", "..", "a/../b", "a\0b", ""])
def test_a_trajectory_id_that_is_a_path_is_unknown(session: Session, id: str) -> None:
    with pytest.raises(BadInput, match="no trajectory"):
        session.trajectory(id)


# JSON

HOSTILE_JSON = {
    "nothing": b"",
    "a million brackets": b"[" * 1_000_000,
    "a million nested objects": b'{"a":' * 1_000_000,
    "a deep list that ends": b"[" * 100_000 + b"]" * 100_000,
    "a huge number": b'{"version": 1' + b"0" * 10_000 + b"}",
    "a number beyond 64 bits": b'{"version": 1, "revision": 18446744073709551616}',
    "a float beyond all": b'{"version": 1, "revision": 1e999}',
    "NaN": b'{"version": 1, "revision": NaN}',
    "infinity": b'{"version": 1, "revision": -Infinity}',
    "a key twice": b'{"version": 1, "version": 1}',
    "wrong UTF-8": b'{"version": 1, "created": "\xff\xfe"}',
    "an encoded surrogate": b'{"version": 1, "created": "\xed\xa0\x80"}',
    "half a pair": b'{"version": 1, "created": "\\ud800"}',
    "UTF-16": '{"version": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"version": 1}',
    "a list": b"[]",
    "a text": b'"version"',
    "a version that is true": b'{"version": true}',
    "no version": b"{}",
    "three million members": b'{"version": 1, "a": [' + b"0," * 3_000_000 + b"0]}",
    "a comment": b'{"version": 1 /* */}',
}


@pytest.mark.parametrize("what", HOSTILE_JSON)
def test_json_that_is_none_is_damage(session: Session, what: str) -> None:
    with within(20):
        for name in ("session.json", "dialogues/000/000-goal.json", "jobs/000-verify/status.json"):
            assert any(Path(name).name in said for said in with_another(session, name, HOSTILE_JSON[what])), name


@pytest.mark.parametrize("name", JSON_FILES)
def test_json_that_is_none_is_damage_in_every_file(session: Session, name: str) -> None:
    assert any(Path(name).name in said for said in with_another(session, name, HOSTILE_JSON["NaN"]))
    assert read_everything(session.folder.parent) == []


def with_another(session: Session, name: str, data: bytes) -> list[str]:
    """What is said to be wrong while a file holds something else."""
    path = session.folder / name
    kept = path.read_bytes()
    path.write_bytes(data)
    said = read_everything(session.folder.parent)
    path.write_bytes(kept)
    return said


def test_whole_pairs_and_what_is_not_ascii_are_read() -> None:
    assert strict.loads(b'{"a": "\\ud83d\\ude00", "b": "\xc3\xa4"}') == {"a": "😀", "b": "ä"}


def test_half_a_pair_is_written_as_a_question_mark_and_read_again(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"text": "a\ud800b\U0001f600"})
    assert files.read_json(tmp_path / "a.json")["text"] == "a?b\U0001f600"


ODD: tuple[Any, ...] = (None, True, -1, 0, 1.5, 1e300, 2**63 - 1, "", "\0", "x" * 5000, [], {}, [[]], [None], {"a": {}})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(part, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """The value with another one at a place."""
    if not path:
        return odd
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    return copy


@pytest.mark.parametrize("name", JSON_FILES)
def test_a_wrong_type_in_any_place_is_read_or_damage_and_never_a_crash(session: Session, name: str) -> None:
    path = session.folder / name
    value = json.loads(path.read_text())
    rng = np.random.default_rng(0)
    found = [(place, odd) for place in places(value) for odd in ODD]
    with within(60):
        for number in rng.permutation(len(found))[:12]:
            place, odd = found[number]
            path.write_text(json.dumps(replaced(value, place, odd)))
            read_everything(session.folder.parent)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"random_limit": 0.0}, "random limit"),
        ({"random_limit": 1.0}, "random limit"),
        ({"confidence": 1.0}, "confidence"),
        ({"confidence": -1.0}, "confidence"),
        ({"min_experts": 0}, "expert"),
    ],
)
def test_thresholds_that_would_be_judged_by_without_an_end_are_damage(
    session: Session, values: dict[str, float], why: str
) -> None:
    for name in ("session.json", "verdicts/000.json"):
        path = session.folder / name
        value = json.loads(path.read_text())
        value["thresholds"] |= values
        path.write_text(json.dumps(value))
        with within(5):
            assert any(why in said for said in read_everything(session.folder.parent))


def test_a_limit_next_to_nothing_is_judged_at_once() -> None:
    with within(2):
        assert smallest_sample(Thresholds(random_limit=1e-300)) > 10**14
        none = Count(0, 0)
        assert judge_whole(Verification(0, (), none, none, 0, 1, Thresholds(random_limit=1e-12))).reason


def test_an_answer_of_a_million_backticks_is_read_at_once(session: Session) -> None:
    path = session.folder / "dialogues" / "000" / "000-goal.json"
    value = json.loads(path.read_text())
    for text in ("`" * 1_000_000, "~" * 1_000_000, "```" + "a" * 1_000_000, " " * 1_000_000):
        value["reply"]["text"] = text
        path.write_text(json.dumps(value))
        with within(10), contextlib.suppress(DamagedFile):
            dialogues.read(path.parent)


def test_sources_of_endless_lines_are_compared_at_once(session: Session) -> None:
    letters = np.random.default_rng(0).integers(97, 123, (2, 100_000))
    for number in (0, 1):
        text = "\n".join(map(chr, letters[number]))
        (session.folder / "proposals" / f"00{number}" / "goal.py").write_text(text)
    with within(5):
        assert "100,000 and 100,000 lines: too long" in history.diff(session.proposal(0), session.proposal(1))


# Answers, policies, jobs, environments


def test_answers_about_another_number_of_frames_count_as_not_there(session: Session) -> None:
    for length in (0, 1, 3, 5):
        session.save_answers("a" * 64, "expert-000", Answers(np.zeros(length, np.float32)))
        assert session.answers("a" * 64, "expert-000") is None
    session.save_answers("a" * 64, "expert-000", Answers(np.zeros(4, np.float32)))
    assert session.answers("a" * 64, "expert-000") is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"values": np.full(4, 2.0, np.float32)},
        {"values": np.full(4, -1.0, np.float32)},
        {"values": np.zeros((4, 1), np.float32)},
        {"values": np.zeros(4, np.int64)},
        {"kind": np.array(["evil"])},
        {"frame": np.array([4])},
        {"frame": np.array([-1])},
        {"frame": np.array([np.nan])},
        {"message": np.array(["a", "b"])},
        {"line": np.array([np.inf])},
        {"frame_seconds": np.zeros(2)},
    ],
)
def test_answers_that_no_checker_can_have_given_count_as_not_there(session: Session, changes: dict[str, Any]) -> None:
    whole = {
        "values": np.zeros(4, np.float32),
        "frame": np.array([1]),
        "kind": np.array(["error"]),
        "message": np.array(["boom"]),
        "line": np.array([2]),
        "frame_seconds": np.float64(0.1),
    }
    path = session.folder / "answers" / ("a" * 24) / "expert-000.npz"
    files.write_bytes(path, archives.packed(whole))
    assert session.answers("a" * 64, "expert-000") is not None
    files.write_bytes(path, archives.packed(whole | changes))
    assert session.answers("a" * 64, "expert-000") is None


@pytest.mark.parametrize("created", [None, "right"])
def test_a_strangers_job_cannot_have_another_process_ended(session: Session, created: str | None) -> None:
    import psutil

    victim = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        told = psutil.Process(victim.pid).create_time() if created else None
        folder = session.folder / "runs" / "000"
        value = {"kind": "train", "state": "started", "pid": victim.pid, "process_created": told, "began": time.time()}
        files.write_json(folder / jobs.STATUS, value)
        jobs.cancel(folder, grace_seconds=0.1)
        time.sleep(1.0)
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_a_policy_that_was_made_for_another_environment_takes_no_step(tmp_path: Path) -> None:
    task = Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8})
    with pytest.raises(BadInput, match=r"the policy answers 99.*Discrete\(7\)"):
        rollouts.record_policy(task, 0, lambda seen: np.int64(99), 5)
    session = pipeline.create_from_env(tmp_path, "a", task.env_id or "", recording=Recording(0, 0, 5))
    folder = session.new_run_folder()
    runs.write_config(folder, runs.RunConfig(reward="sparse"))
    policies.save(fuzz_specimen.policy(), folder / runs.MODEL)
    with pytest.raises(DamagedFile, match="observations of 5 numbers"):
        pipeline.watch(session, 0, 1)
    assert not session.trajectories().items


@pytest.mark.parametrize(
    "row",
    [
        b"[" * 100_000,
        b'{"steps": 1e400, "episodes": 1}',
        b'{"steps": 1, "episodes": "a"}',
        b'{"steps": 5, "episodes": 1, "success_rate": "much"}',
        b"\xff" * 100,
        b'{"steps": 5, "episodes": 1, "completions": {"a": []}}',
        b"9" * 100_000,
    ],
)
def test_a_row_that_is_none_is_left_out(session: Session, row: bytes) -> None:
    folder = session.folder / "runs" / "000"
    before = runs.read_progress(folder)
    with (folder / runs.PROGRESS).open("ab") as file:
        file.write(row + b"\n")
    with within(10):
        assert runs.read_progress(folder) == before
