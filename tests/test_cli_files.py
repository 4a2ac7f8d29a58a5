"""The commands that take files in and give them out."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.conftest import picture
from vlmcar_core import verdicts
from vlmcar_core.cli import cli
from vlmcar_core.errors import BadInput
from vlmcar_core.store import Session


def vlmcar(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--root", str(root), *arguments])


def refused(result: Result) -> str:
    """What a command said when it refused."""
    assert isinstance(result.exception, BadInput), result.output
    return str(result.exception)


def moving(path: Path, places: list[int]) -> Path:
    """A camera's recording of a red square that moves to the right, and a green one that stays."""
    frames = np.full((len(places), 64, 64, 3), 30, np.uint8)
    frames[:, 20:44, 44:60] = (40, 200, 60)
    for frame, place in zip(frames, places, strict=True):
        frame[24:40, place : place + 12] = (220, 40, 40)
    np.savez(path, frames=frames)
    return path


def test_a_cameras_recordings_are_taken_in_proposed_from_and_verified_without_an_environment(tmp_path: Path) -> None:
    root, files = tmp_path / "sessions", tmp_path / "files"
    files.mkdir()
    done = [str(moving(files / f"done{number}.npz", [2, 12, 24, 36, 46])) for number in range(2)]
    not_done = [str(moving(files / f"not{number}.npz", [2, 6, 4, 2 + number % 8])) for number in range(30)]
    assert vlmcar(root, "new", "camera", "--no-env").exit_code == 0
    looked = vlmcar(root, "import-trajectories", "camera", done[0], "--look")
    assert "NPZ, 1 episode; the first has 5 frames, 64 × 64 pixels" in looked.output
    assert not Session.open(root, "camera").trajectory_count
    taken = vlmcar(root, "import-trajectories", "camera", *done, "--source", "expert", "--success", "yes")
    assert "2 trajectories taken in: expert-000 to expert-001" in taken.output
    assert (
        vlmcar(root, "import-trajectories", "camera", *not_done, "--source", "random", "--success", "no").exit_code == 0
    )
    assert vlmcar(root, "propose", "camera").exit_code == 0
    assert vlmcar(root, "verify", "camera").exit_code == 0, "accepted"
    session = Session.open(root, "camera")
    found = session.verification(0)
    assert found is not None and verdicts.judge_whole(found).judgement == "accepted"
    assert found.verdict("goal").expert.hits == 2 and found.verdict("goal").random.hits == 0


def test_trajectories_are_written_for_other_programs(tmp_path: Path) -> None:
    root = tmp_path / "sessions"
    vlmcar(root, "new", "camera", "--no-env")
    vlmcar(root, "import-trajectories", "camera", str(moving(tmp_path / "a.npz", [2, 12])))
    for form in ("npz", "minari"):
        out = tmp_path / form
        result = vlmcar(root, "export-trajectories", "camera", "--to", form, "--out", str(out))
        assert f"1 trajectories in {out}" in result.output and out.is_dir()
    assert "there already" in refused(vlmcar(root, "export-trajectories", "camera", "--out", str(tmp_path / "npz")))
    assert "no source 'policy'" in refused(
        vlmcar(root, "export-trajectories", "camera", "--out", str(tmp_path / "new"), "--source", "policy")
    )


def test_which_episodes_are_wanted_is_written_as_people_write_it(tmp_path: Path) -> None:
    root, files = tmp_path / "sessions", tmp_path / "files"
    files.mkdir()
    for number in range(5):
        moving(files / f"{number}.npz", [2, 12 + number])
    vlmcar(root, "new", "camera", "--no-env")
    vlmcar(root, "import-trajectories", "camera", str(files), "--episodes", "0-1, 4")
    assert Session.open(root, "camera").trajectory_count == 3
    for wrong, told in (("a", "numbers and ranges"), ("9", "has episodes 0 to 4, not 9"), ("0-99999999", "at most")):
        assert told in refused(vlmcar(root, "import-trajectories", "camera", str(files), "--episodes", wrong))
    assert Session.open(root, "camera").trajectory_count == 3


def test_a_session_is_packed_and_unpacked(tmp_path: Path) -> None:
    root, path = tmp_path / "sessions", tmp_path / "camera.zip"
    vlmcar(root, "new", "camera", "--no-env")
    vlmcar(root, "import-trajectories", "camera", str(moving(tmp_path / "a.npz", [2, 12])))
    assert "3 files" in vlmcar(root, "pack", "camera", "--out", str(path)).output
    assert "exists already" in refused(vlmcar(root, "unpack", str(path)))
    assert "session again in" in vlmcar(root, "unpack", str(path), "--name", "again").output
    assert Session.open(root, "again").trajectory("human-000").steps == 1
    assert "no file" in refused(vlmcar(root, "unpack", str(tmp_path / "nowhere.zip")))


def test_an_environment_is_checked(tmp_path: Path) -> None:
    sound = vlmcar(tmp_path, "check-env", "CartPole-v1")
    assert sound.exit_code == 0 and "next: vlmcar new NAME --env CartPole-v1" in sound.output
    lacking = vlmcar(tmp_path, "check-env", "Nowhere-v0")
    assert "--gym-module" in lacking.output and "cannot be used yet" in refused(lacking)


def test_an_empty_session_takes_no_other_way_in(tmp_path: Path) -> None:
    result = vlmcar(tmp_path, "new", "camera", "--no-env", "--env", "CartPole-v1")
    assert result.exit_code == 2 and "stands alone" in result.output and not (tmp_path / "camera").exists()


@pytest.mark.parametrize("kind", ["npz", "gif"])
def test_a_file_with_bytes_changed_is_read_or_refused_and_nothing_else(tmp_path: Path, kind: str) -> None:
    from PIL import Image

    from vlmcar_core import readers

    path = tmp_path / f"a.{kind}"
    frames = [picture(number) for number in range(4)]
    if kind == "npz":
        np.savez_compressed(path, frames=np.stack(frames), seed=3)
    else:
        pictures = [Image.fromarray(frame) for frame in frames]
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=50)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    refusals = 0
    for _ in range(150):
        data = bytearray(whole)
        for place in random.integers(len(data), size=random.integers(1, 6)):
            data[place] = random.integers(256)
        path.write_bytes(bytes(data[: random.integers(20, len(data) + 1)]) if random.random() < 0.2 else bytes(data))
        try:
            readers.opened(path).read(0)
        except BadInput:
            refusals += 1
    assert refusals > 20
