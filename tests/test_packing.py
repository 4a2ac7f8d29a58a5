"""A session as one zip, and back; and zips that are none."""

import io
import json
import stat
import subprocess
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import trajectory
from vlmcar_core import packing
from vlmcar_core.errors import BadInput
from vlmcar_core.store import Session, sessions

MakeSession = Callable[..., Session]
EXAMPLES = Path(__file__).parent.parent / "sessions"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def kept(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in found.items() if name.partition("/")[0] not in packing.LEFT_OUT}


def test_every_kind_of_file_goes_there_and_back_to_the_byte(strangers: Path, tmp_path: Path) -> None:
    (name,) = sessions(strangers).items
    session = Session.open(strangers, name)
    again = packing.unpack(tmp_path / "elsewhere", packing.pack(session))
    there, here = contents(again.folder), kept(contents(session.folder))
    assert there == here and len(there) > 30
    parts = {name.partition("/")[0] for name in there}
    assert {"session.json", "frames", "trajectories", "proposals", "dialogues", "runs", "verdicts"} <= parts
    assert packing.pack(again) == packing.pack(session), "the same session gives the same bytes"


@pytest.mark.parametrize("name", ["example-doorkey-6x6", "example-recorded-answers"])
def test_all_that_is_kept_in_git_of_an_example_is_packed(tmp_path: Path, name: str) -> None:
    listed = subprocess.run(["git", "ls-files", name], cwd=EXAMPLES, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout of the repository")
    names = {line.removeprefix(f"{name}/") for line in listed.stdout.splitlines()}
    again = packing.unpack(tmp_path, packing.pack(Session.open(EXAMPLES, name)))
    assert {path for path in names if path.partition("/")[0] not in packing.LEFT_OUT} <= set(contents(again.folder))


def test_a_file_is_written_whole_and_never_over_another(make_session: MakeSession, tmp_path: Path) -> None:
    session, path = make_session(), tmp_path / "red.zip"
    assert packing.pack_to(session, path) == 2
    assert path.read_bytes() == packing.pack(session)
    with pytest.raises(BadInput, match="there already"):
        packing.pack_to(session, path)
    with pytest.raises(BadInput, match="no folder"):
        packing.pack_to(session, tmp_path / "nowhere" / "red.zip")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["red", "red.zip"]


def test_a_session_is_packed_while_a_run_writes_on(make_session: MakeSession, tmp_path: Path) -> None:
    session = make_session()
    rows = session.folder / "runs" / "000" / "progress.jsonl"
    rows.parent.mkdir(parents=True)
    rows.write_text("{}\n")
    enough = threading.Event()

    def write_on() -> None:
        with rows.open("a") as file:
            while not enough.wait(0.001):
                file.write('{"steps": 1}\n')
                file.flush()

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        for number in range(5):
            again = packing.unpack(tmp_path / "elsewhere", packing.pack(session), f"red-{number}")
            assert (again.folder / "runs" / "000" / "progress.jsonl").stat().st_size >= 3
    finally:
        enough.set()
        writer.join()


def test_links_and_what_no_session_holds_are_not_packed(make_session: MakeSession, tmp_path: Path) -> None:
    session = make_session()
    session.add_trajectory(trajectory([0, 1]))
    (session.folder / "trajectories" / "random-000.zip").symlink_to("/etc/hostname")
    (session.folder / "notes.txt").write_text("mine")
    (session.folder / "jobs" / "000-record").mkdir(parents=True)
    (session.folder / "jobs" / "000-record" / "log.txt").write_text("of this machine")
    again = packing.unpack(tmp_path / "elsewhere", packing.pack(session))
    assert set(contents(again.folder)) == {"session.json", "frames/initial.png", "trajectories/expert-000.zip"}


def test_it_gets_another_name_where_one_is_taken(make_session: MakeSession, tmp_path: Path) -> None:
    data = packing.pack(make_session())
    with pytest.raises(BadInput, match="'red' exists already"):
        packing.unpack(tmp_path, data)
    assert packing.unpack(tmp_path, data, "other").name == "other"
    with pytest.raises(BadInput, match="cannot be a session's name"):
        packing.unpack(tmp_path, data, "../other")


# Zips that anybody may have made


def changed(data: bytes, change: Callable[[dict[str, bytes], dict[str, object]], None]) -> bytes:
    """The same zip with members added or changed, whose pack.json tells the truth about them unless it was changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(members.pop("pack.json"))
    change(members, about)
    whole = {"members": len(members), "size": sum(map(len, members.values()))}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pack.json", json.dumps({**whole, **{k: v for k, v in about.items() if k not in whole}}))
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "../outside.txt",
        "/etc/outside.txt",
        "session/../../outside.txt",
        "session/trajectories/../../../outside.zip",
        "session/trajectories\\..\\outside.zip",
        "session/trajectories/..",
        "session/jobs/000-record/launch.json",
        "session/answers/0123456789abcdef01234567/expert-000.npz",
        "session/notes.txt",
        "session/.hidden",
        "session/proposals/000/.hidden",
        "session/trajectories/a\n.zip",
        "session/runs/000/a/b/c/d.json",
        "sitecustomize.py",
    ],
)
def test_a_name_that_no_session_has_is_refused(make_session: MakeSession, tmp_path: Path, name: str) -> None:
    root = tmp_path / "elsewhere"
    data = changed(packing.pack(make_session()), lambda members, _: members.update({name: b"{}"}))
    with pytest.raises(BadInput, match="which no session holds"):
        packing.unpack(root, data)
    assert not root.exists() and not (tmp_path / "outside.txt").exists()


def test_a_link_is_refused(make_session: MakeSession, tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("session/frames/goal.png")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO(packing.pack(make_session()))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(BadInput, match="is a link or no plain file"):
        packing.unpack(tmp_path / "elsewhere", buffer.getvalue())


def test_names_that_are_one_where_case_does_not_count_are_refused(make_session: MakeSession, tmp_path: Path) -> None:
    more = {"session/prompts/a.md": b"", "session/prompts/A.md": b""}
    data = changed(packing.pack(make_session()), lambda members, _: members.update(more))
    with pytest.raises(BadInput, match=r"where case does not count"):
        packing.unpack(tmp_path / "elsewhere", data)


def test_a_bomb_is_refused_before_it_is_unpacked(make_session: MakeSession, tmp_path: Path) -> None:
    data = bytearray(
        changed(packing.pack(make_session()), lambda members, _: members.update({"session/prompts/a.md": b"a"}))
    )
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        at = data.index(b"session/prompts/a.md", archive.start_dir)
    data[at - 46 + 24 : at - 46 + 28] = (0xFFFFFFF0).to_bytes(4, "little")  # the size that the contents announce
    with pytest.raises(BadInput, match=r"is not whole|larger than"):
        packing.unpack(tmp_path / "elsewhere", bytes(data))
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_not_whole_is_refused_and_leaves_nothing(make_session: MakeSession, tmp_path: Path) -> None:
    session, root = make_session(), tmp_path / "elsewhere"
    data = packing.pack(session)
    lacks = changed(data, lambda members, _: members.pop("session/session.json") and None)
    for broken in (b"", b"no zip", data[: len(data) // 2], lacks):
        with pytest.raises(BadInput):
            packing.unpack(root, broken)
    with pytest.raises(BadInput, match="no file"):
        packing.unpack(root, tmp_path / "nowhere.zip")
    damaged = changed(data, lambda members, _: members.update({"session/session.json": b"{"}))
    with pytest.raises(BadInput, match=r"session.json is not valid JSON"):
        packing.unpack(root, damaged)
    assert not list(root.iterdir())


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"version": 2}, "packed in version 2"),
        ({"name": "../../outside"}, "cannot be a session's name"),
        ({"name": "comparisons"}, "exists already"),
        ({"extra": 1}, "no session that was packed"),
    ],
)
def test_a_newer_version_and_a_bad_name_are_refused(
    make_session: MakeSession, tmp_path: Path, about: dict[str, object], told: str
) -> None:
    data = changed(packing.pack(make_session()), lambda _, found: found.update(about))
    with pytest.raises(BadInput, match=told):
        packing.unpack(tmp_path / "elsewhere", data)


def test_a_session_of_a_newer_version_is_refused_with_what_to_do(make_session: MakeSession, tmp_path: Path) -> None:
    def newer(members: dict[str, bytes], _: dict[str, object]) -> None:
        value = json.loads(members["session/session.json"])
        members["session/session.json"] = json.dumps({**value, "version": 99}).encode()

    with pytest.raises(BadInput, match=r"version 99.*update VLM-CaR Studio"):
        packing.unpack(tmp_path / "elsewhere", changed(packing.pack(make_session()), newer))


Steps = list[tuple[int, int, str]]


@pytest.fixture
def told() -> Steps:
    return []


def test_progress_tells_each_file_and_the_parts_of_large_ones(
    make_session: MakeSession, tmp_path: Path, told: Steps
) -> None:
    session = make_session()
    large = session.folder / "trajectories" / "large.zip"
    large.parent.mkdir(exist_ok=True)
    large.write_bytes(bytes(3 * packing.PIECE_BYTES + 5))
    packing.pack_to(session, tmp_path / "red.zip", lambda *step: told.append(step))
    packed, count = list(told), 3
    told.clear()
    packing.unpack(tmp_path / "elsewhere", tmp_path / "red.zip", progress=lambda *step: told.append(step))
    for steps in (packed, told):
        assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)
        assert {total for _, total, _ in steps} == {count} and steps[-1][0] == count
        parts = [words for _, _, words in steps if words.startswith("trajectories/large.zip")]
        assert len(parts) >= 5 and len(set(parts)) == len(parts) - 1, "what is there at first, and after each MiB"
        assert "of 3.0 MiB" in parts[0]
