"""What is driven and not saved outlives its process: it is driven on from, saved as it was, or discarded."""

import base64
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import picture
from tests.test_drive_host import Host
from vlmcar_core import drafting, drafts, files, packing, pipeline
from vlmcar_core.drafting import Keeper
from vlmcar_core.driving import Driver
from vlmcar_core.envs import Pressed
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.store import Session
from vlmcar_core.types import Recording

EMPTY = "MiniGrid-Empty-5x5-v0"
WAY = ("forward", "forward", "turn right", "forward")
DRIVEN = [2, 2, 1, 2]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return pipeline.create_from_env(tmp_path, "driven", EMPTY, recording=Recording(2, 0, 5))


def killed(session: Session, *names: str) -> Host:
    """A process that was ended by SIGKILL after these presses."""
    host = Host(session)
    for name in names:
        host.press(name)
    os.kill(host.process.pid, signal.SIGKILL)
    host.process.communicate(timeout=20)
    assert host.process.returncode == -signal.SIGKILL
    return host


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    started: list[Host] = []
    yield started
    for host in started:
        host.process.kill()
        host.process.wait(20)
        for pipe in (host.process.stdin, host.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def again(session: Session, hosts: list[Host]) -> Host:
    hosts.append(Host(session))
    return hosts[-1]


def left(session: Session) -> Path:
    (name,) = drafts.left_behind(session)
    return session.folder / "driving" / f"{name}.jsonl"


def test_after_a_kill_it_is_offered_driven_on_from_and_saved(session: Session, hosts: list[Host]) -> None:
    killed(session, *WAY)
    host = again(session, hosts)
    (offered,) = host.hello["drafts"]
    assert (offered["steps"], offered["seed"], offered["success"]) == (4, 0, False)
    answer, png = host.ask(do="drive-on", draft=offered["name"])
    assert (answer["steps"], answer["said"], answer["drafts"]) == (4, "driven on from, after 4 steps", [])
    with closing(Driver(session.task)) as driver:
        for name in WAY:
            driver.press(Pressed((name,)))
        assert np.array_equal(files.from_png(png, "x"), driver.frame)
    assert host.press("forward")["success"]
    assert host.ask(do="save", source="expert", driver="Ada")[0]["said"] == "saved as expert-000, 5 steps"
    assert session.trajectory("expert-000").actions.tolist() == [*DRIVEN, 2]
    assert not drafts.left_behind(session) and not list((session.folder / "driving").iterdir())


def test_what_was_left_behind_twice_is_whole(session: Session, hosts: list[Host]) -> None:
    killed(session, *WAY[:2])
    host = again(session, hosts)
    host.ask(do="drive-on", draft=host.hello["drafts"][0]["name"])
    host.press("turn right")
    host.press("turn right")
    host.ask(do="undo")
    os.kill(host.process.pid, signal.SIGKILL)
    host.process.wait(20)
    last = again(session, hosts)
    (offered,) = last.hello["drafts"]
    assert offered["steps"] == 3
    last.ask(do="drive-on", draft=offered["name"])
    last.press("forward")
    assert last.press("forward")["success"]
    last.ask(do="save", source="expert", driver="Ada")
    assert session.trajectory("expert-000").actions.tolist() == [*DRIVEN, 2]


def test_it_is_saved_as_it_was_without_its_environment(session: Session, hosts: list[Host]) -> None:
    killed(session, *WAY)
    path = left(session)
    draft = drafts.read(path)
    host = again(session, hosts)
    refused, _ = host.ask(do="save-draft", draft=path.stem, source="expert", driver="Ada")
    assert "does not call this episode solved" in refused["error"] and path.is_file()
    saved, png = host.ask(do="save-draft", draft=path.stem, source="near-miss", driver="Ada")
    assert (saved["said"], saved["kept"], saved["drafts"], png) == ("saved as near-miss-000, 4 steps", True, [], b"")
    with closing(Driver(session.task)) as driver:
        for name in WAY:
            driver.press(Pressed((name,)))
        driven = driver.trajectory("near-miss")
    kept = session.trajectory("near-miss-000")
    assert np.array_equal(kept.frames, driven.frames) and np.array_equal(kept.actions, driven.actions)
    assert np.array_equal(kept.rewards, driven.rewards) and kept.facts.keys() == driven.facts.keys()
    assert kept.versions == {**draft.beginning.versions, "driver": "Ada"} and kept.seed == driven.seed
    assert not path.exists()


def test_it_is_discarded(session: Session, hosts: list[Host]) -> None:
    killed(session, *WAY)
    host = again(session, hosts)
    name = host.hello["drafts"][0]["name"]
    assert host.ask(do="discard", draft=name)[0]["drafts"] == []
    assert "no unsaved episode" in host.ask(do="discard", draft=name)[0]["error"]
    assert "no unsaved episode" in host.ask(do="drive-on", draft="../../session")[0]["error"]
    assert session.header().task.env_id == EMPTY


def test_what_is_saved_begun_anew_or_never_driven_leaves_nothing(session: Session, hosts: list[Host]) -> None:
    host = again(session, hosts)
    folder = session.folder / "driving"
    assert not folder.exists()
    host.press("turn left")
    assert len(list(folder.iterdir())) == 1
    host.ask(do="begin", seed=3)
    assert not list(folder.iterdir())
    host.press("turn left")
    host.ask(do="undo")
    assert host.process.stdin is not None
    host.process.stdin.close()
    assert host.process.wait(20) == 0
    assert not list(folder.iterdir())


def test_a_tab_that_is_closed_leaves_it_and_one_that_is_at_work_keeps_it_to_itself(
    session: Session, hosts: list[Host]
) -> None:
    first = again(session, hosts)
    first.press("forward")
    assert again(session, hosts).hello["drafts"] == []
    name = next((session.folder / "driving").iterdir()).stem
    assert "driven in another tab" in hosts[1].ask(do="drive-on", draft=name)[0]["error"]
    assert first.process.stdin is not None
    first.process.stdin.close()
    assert first.process.wait(20) == 0
    assert hosts[1].ask(do="drive-on", draft=name)[0]["steps"] == 1


def test_driving_on_leaves_what_was_under_way_as_a_draft_of_its_own(session: Session, hosts: list[Host]) -> None:
    killed(session, *WAY)
    host = again(session, hosts)
    host.press("turn left")
    answer = host.ask(do="drive-on", draft=host.hello["drafts"][0]["name"])[0]
    assert answer["steps"] == 4 and [draft["steps"] for draft in answer["drafts"]] == [1]


def changed(path: Path, number: int, **parts: Any) -> None:
    """Another value in one line of a draft."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[number] |= parts
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_where_the_same_presses_lead_elsewhere_it_is_said_and_can_still_be_saved(
    session: Session, hosts: list[Host]
) -> None:
    killed(session, *WAY)
    path = left(session)
    changed(path, 2, png=base64.b64encode(files.png(picture(3, 160))).decode())
    host = again(session, hosts)
    answer, png = host.ask(do="drive-on", draft=path.stem)
    assert "cannot be driven on from: the same 2 presses" in answer["error"]
    assert answer["steps"] == 0 and png and [draft["steps"] for draft in answer["drafts"]] == [4]
    assert host.ask(do="save-draft", draft=path.stem, source="near-miss", driver="Ada")[0]["kept"]


def test_a_line_that_was_cut_short_costs_that_step_alone(session: Session, hosts: list[Host]) -> None:
    killed(session, *WAY)
    path = left(session)
    path.write_bytes(path.read_bytes()[:-30])
    host = again(session, hosts)
    assert host.ask(do="drive-on", draft=path.stem)[0]["steps"] == 3
    host.press("forward")
    os.kill(host.process.pid, signal.SIGKILL)
    host.process.wait(20)
    assert len(drafts.read(path).steps) == 4


@pytest.mark.parametrize(
    ("number", "parts", "words"),
    [
        (0, {"version": 9}, "version 9"),
        (0, {"png": "AAAA"}, "not a readable PNG"),
        (0, {"png": "!"}, "base64"),
        (0, {"seed": -1}, "no seed"),
        (2, {"step": 7}, "does not follow"),
        (2, {"frame": 99}, "does not follow"),
        (2, {"action": "rm -rf"}, "invalid literal"),
        (2, {"dtype": "O"}, "no number"),
        (2, {"pressed": {"held": 5}}, "held is a list"),
        (2, {"facts": {}}, "KeyError"),
        (2, {"spell": 1}, "has no 'spell'"),
    ],
)
def test_a_draft_of_a_stranger_is_refused_in_words(
    session: Session, number: int, parts: dict[str, Any], words: str
) -> None:
    with closing(Driver(session.task)) as driver, closing(Keeper(session)) as keeper:
        for name in WAY:
            driver.press(Pressed((name,)))
            assert keeper.keep(driver) == ""
    path = left(session)
    changed(path, number, **parts)
    with pytest.raises(DamagedFile, match=words):
        drafts.read(path).trajectory("near-miss")


def test_a_link_in_place_of_a_draft_is_not_followed(session: Session, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("{}\n")
    folder = session.folder / "driving"
    folder.mkdir()
    (folder / "000.jsonl").symlink_to(secret)
    assert drafts.left_behind(session) == []
    with pytest.raises(DamagedFile, match="is a link"):
        drafts.discard(session, "000")
    with closing(Driver(session.task)) as driver, closing(Keeper(session)) as keeper:
        driver.press(Pressed(("forward",)))
        assert keeper.keep(driver) == ""
    assert secret.read_text() == "{}\n"


def test_too_large_an_episode_is_driven_on_and_said_once_not_to_be_kept(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "LIMIT_BYTES", 6_000)
    with closing(Driver(session.task)) as driver, closing(Keeper(session)) as keeper:
        said = []
        for number in range(12):
            driver.press(Pressed(("turn left" if number % 2 else "turn right",)))
            said.append(keeper.keep(driver))
        assert [words for words in said if words] == [drafting.TOO_LARGE] and driver.episode.steps == 12
    path = left(session)
    assert path.stat().st_size <= 6_000 and 0 < len(drafts.read(path).steps) < 12


def test_so_many_are_kept_and_none_is_packed(session: Session, tmp_path: Path) -> None:
    for _ in range(drafting.KEPT + 2):
        with closing(Driver(session.task)) as driver, closing(Keeper(session)) as keeper:
            driver.press(Pressed(("forward",)))
            keeper.keep(driver)
    names = drafts.left_behind(session)
    assert len(names) == drafting.KEPT and names[0] == f"{drafting.KEPT + 1:03d}"
    assert not (packing.unpack(tmp_path / "other", packing.pack(session)).folder / "driving").exists()


def test_an_arm_is_driven_on_from_too(tmp_path: Path, hosts: list[Host]) -> None:
    session = pipeline.create_from_env(
        tmp_path, "arm", "PandaReach-v3", settings={"size": 64}, recording=Recording(2, 0, 5)
    )
    with closing(Driver(session.task)) as driver, closing(Keeper(session)) as keeper:
        names = [control.name for control in driver.controls.keys][:3]
        for name in (*names, *names):
            driver.press(Pressed((name,)))
            keeper.keep(driver)
        driven, frame = driver.trajectory("near-miss"), driver.frame
    draft = drafts.read(left(session))
    assert np.array_equal(draft.trajectory("near-miss").actions, driven.actions)
    assert draft.trajectory("near-miss").actions.dtype == driven.actions.dtype
    with closing(Driver(session.task)) as other:
        drafts.drive_on(other, draft)
        assert np.array_equal(other.frame, frame) and other.episode.steps == len(driven.actions)


def test_nobody_is_at_it_is_told_by_the_lock_and_not_by_the_file(session: Session) -> None:
    with closing(Driver(session.task)) as driver, closing(Keeper(session)) as keeper:
        driver.press(Pressed(("forward",)))
        keeper.keep(driver)
        assert drafts.left_behind(session) == []
        with pytest.raises(BadInput, match="another tab"), drafts.locked(session, "000"):
            pass
    assert drafts.left_behind(session) == ["000"]
