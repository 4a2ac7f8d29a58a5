"""Recorded episodes from files: what is read, what it is taken to mean, and what is refused."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pytest
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage
from PIL import Image

from tests.conftest import picture, trajectory
from vlmcar_core import intake, outlet, pipeline, plugins, readers
from vlmcar_core.errors import BadInput
from vlmcar_core.meaning import Meaning
from vlmcar_core.store import Session
from vlmcar_core.types import Frames, Recording

MakeSession = Callable[..., Session]


def growing(count: int = 4, side: int = 16) -> Frames:
    """Frames in which the red grows by a pixel each."""
    return np.stack([picture(number, side) for number in range(count)])


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def empty(root: Path) -> Session:
    return pipeline.create_empty(root / "sessions", "camera")


# NPZ


def test_an_npz_file_becomes_a_trajectory_with_all_that_it_tells(tmp_path: Path) -> None:
    session, frames = empty(tmp_path), growing()
    path = npz(
        tmp_path / "one.npz",
        frames=frames,
        actions=np.array([1, 0, 2]),
        rewards=np.array([0.0, 0.0, 1.0]),
        terminated=np.array([False, False, True]),
        success=np.array(True),
        seed=np.array(7),
        env_id=np.array("Robot-v0"),
        **{"fact:red": np.array([False, True, True, True])},
    )
    ids = intake.take(session, [path], Meaning(source="expert"))
    found = session.trajectory(ids[0])
    assert ids == ["expert-000"]
    assert np.array_equal(found.frames, frames) and found.actions.tolist() == [1, 0, 2]
    assert found.rewards.tolist() == [0.0, 0.0, 1.0] and found.terminated and not found.truncated
    assert found.success is True and found.seed == 7 and found.env_id == "Robot-v0"
    assert found.facts["red"].tolist() == [False, True, True, True]
    assert session.trajectories().items[0].origin == "from one.npz"


def test_the_first_trajectory_gives_a_session_without_frames_its_initial_frame_and_an_expert_its_goal(
    tmp_path: Path,
) -> None:
    session, frames = empty(tmp_path), growing()
    intake.take(session, [npz(tmp_path / "a.npz", frames=frames)], Meaning(source="expert", success="yes"))
    assert np.array_equal(session.initial, frames[0]) and np.array_equal(session.goal, frames[-1])


@pytest.mark.parametrize(
    ("success", "wanted"),
    [("yes", True), ("no", False), ("unknown", None), ("return:2", True), ("return:2.5", False), ("key:won", True)],
)
def test_success_is_an_answer_a_return_or_an_array(tmp_path: Path, success: str, wanted: bool | None) -> None:
    session = empty(tmp_path)
    won = np.array([False, True, False, False])
    path = npz(tmp_path / "a.npz", frames=growing(), rewards=np.array([1.0, 1.0, 0.0]), won=won)
    (id,) = intake.take(session, [path], Meaning(success=success))
    assert session.trajectory(id).success is wanted


def test_arrays_of_other_names_are_taken_where_they_are_named(tmp_path: Path) -> None:
    session = empty(tmp_path)
    path = npz(tmp_path / "a.npz", obs=growing(), torque=np.ones((4, 2)), pay=np.array([0.0, 0.5, 0.0]))
    (id,) = intake.take(session, [path], Meaning(frames="obs", actions="torque", rewards="pay"))
    found = session.trajectory(id)
    assert found.actions.shape == (3, 2), "one more action than there are steps: the last led to no frame"
    assert found.rewards.tolist() == [0.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("arrays", "meaning", "told"),
    [
        ({"frames": growing().astype(np.float32)}, {}, "float32.*expected RGB as uint8"),
        ({"frames": growing()[..., :1]}, {}, r"\(4, 16, 16, 1\)"),
        ({"frames": growing(4, 4)}, {}, "each side must be 8 to 4096"),
        ({"frames": growing(), "actions": np.zeros(9)}, {}, "4 frames and 9 actions"),
        ({"frames": growing(), "rewards": np.full(3, np.nan)}, {}, "not finite"),
        ({"frames": growing(), "won": np.array(["yes"])}, {"success": "key:won"}, "neither true nor false"),
        ({"frames": growing()}, {"success": "key:won"}, "has no 'won'.*its arrays are: none"),
        ({"frames": growing()}, {"actions": "torque"}, "has no 'torque'"),
        ({"frames": np.array([{"a": 1}], dtype=object)}, {}, "never pickled objects"),
        ({"frames": growing(), "seed": np.array([1, 2])}, {}, "expected one whole number"),
        ({"actions": np.zeros(3)}, {}, "no environment that could make them"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, arrays: dict[str, Any], meaning: dict[str, str], told: str
) -> None:
    session = empty(tmp_path)
    with pytest.raises(BadInput, match=told):
        intake.take(session, [npz(tmp_path / "a.npz", **arrays)], Meaning(**meaning))
    assert not session.trajectories().items and session.initial is None


def test_all_of_the_files_are_taken_or_none(tmp_path: Path) -> None:
    session = empty(tmp_path)
    good, bad = npz(tmp_path / "a.npz", frames=growing()), npz(tmp_path / "b.npz", frames=growing(4, 24))
    with pytest.raises(BadInput, match=r"b.npz is 24 × 24 pixels, and this session's frames are 16 × 16"):
        intake.take(session, [good, bad])
    assert not session.trajectories().items and session.initial is None and session.trajectory_count == 0


def test_frames_of_another_size_are_resized_only_where_that_is_asked_for(tmp_path: Path) -> None:
    session = empty(tmp_path)
    intake.take(session, [npz(tmp_path / "a.npz", frames=growing())])
    (id,) = intake.take(session, [npz(tmp_path / "b.npz", frames=growing(4, 32))], Meaning(resize=True))
    assert session.trajectory(id).frames.shape == (4, 16, 16, 3)
    assert "resized" in session.trajectories().items[-1].origin


@pytest.mark.parametrize("given", [{"success": "maybe"}, {"success": "return:x"}, {"source": "a wizard"}])
def test_a_meaning_that_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Meaning(**given)


# Pictures, GIF, video


def test_a_folder_of_pictures_is_read_in_natural_order(tmp_path: Path) -> None:
    folder, frames = tmp_path / "run", growing(12)
    folder.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"frame {number}.png")
    looked = intake.preview(folder)
    assert looked.episodes == 1 and looked.count == 12 and not looked.lossy
    assert np.array_equal(looked.first, frames[0]) and np.array_equal(looked.last, frames[11])
    assert np.array_equal(readers.opened(folder).read(0).frames, frames)


def test_a_folder_of_such_folders_holds_an_episode_each(tmp_path: Path) -> None:
    for name in ("take 2", "take 10"):
        (tmp_path / "all" / name).mkdir(parents=True)
        Image.fromarray(picture(1)).save(tmp_path / "all" / name / "0.jpg")
    material = readers.opened(tmp_path / "all")
    assert material.count == 2 and "JPEG" in material.lossy
    assert [material.read(number).name for number in range(2)] == ["take 2", "take 10"]


def test_pictures_of_two_sizes_a_link_and_a_broken_one_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    Image.fromarray(picture(0)).save(folder / "0.png")
    Image.fromarray(picture(0, 24)).save(folder / "1.png")
    with pytest.raises(BadInput, match="frame 1 is 24 × 24 pixels, the first 16 × 16"):
        readers.opened(folder).read(0)
    (folder / "1.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"'1.png' is not a readable"):
        readers.opened(folder).read(0)
    (folder / "1.png").unlink()
    (folder / "1.png").symlink_to(folder / "0.png")
    with pytest.raises(BadInput, match=r"1.png is a link"):
        readers.opened(folder).read(0)


def test_a_gif_is_read_as_it_is_shown_and_carries_a_warning(tmp_path: Path) -> None:
    frames = growing(5)
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=50, loop=0)
    material = readers.opened(tmp_path / "a.gif")
    assert "256 colours" in material.lossy
    assert np.array_equal(material.read(0).frames, frames), "three colours are kept exactly"


def test_a_gif_larger_than_memory_is_refused_before_a_frame_is_decoded(tmp_path: Path) -> None:
    large = Image.new("P", (4000, 4000))
    large.save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("P", (4000, 4000), n) for n in range(1, 30)])
    assert (tmp_path / "a.gif").stat().st_size < 2**20
    with pytest.raises(BadInput, match=r"30 frames of 4000 × 4000 pixels.*at most"):
        readers.opened(tmp_path / "a.gif").read(0)


def film(path: Path, codec: str, pixels: str, frames: Frames) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_a_lossy_video_carries_a_warning_and_a_lossless_one_does_not(tmp_path: Path) -> None:
    frames = growing(6, 32)
    lossy = readers.opened(film(tmp_path / "a.mp4", "mpeg4", "yuv420p", frames))
    assert "checkers judge pixels" in lossy.lossy
    read = lossy.read(0).frames
    assert read is not None and read.shape == frames.shape
    exact = readers.opened(film(tmp_path / "b.mkv", "ffv1", "bgr0", frames))
    assert exact.lossy == "" and np.array_equal(exact.read(0).frames, frames)


def test_what_a_video_changed_is_told_wherever_the_trajectory_is_listed(tmp_path: Path) -> None:
    session = empty(tmp_path)
    intake.take(session, [film(tmp_path / "a.mp4", "mpeg4", "yuv420p", growing(3, 32))])
    assert session.trajectories().items[0].origin == "from a.mp4, pixels changed by its format"
    assert any("Lossy" in note for note in intake.preview(tmp_path / "a.mp4").notes)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x18ftypisom" + b"\x00" * 200,
        b"\x1a\x45\xdf\xa3" + b"\xff" * 200,
        b"RIFF\xff\xff\xff\xffAVI " + b"\x00" * 200,
    ],
)
def test_a_broken_video_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(BadInput, match="no video that can be read"):
        readers.opened(tmp_path / "a.mp4")


def test_a_playlist_that_names_other_files_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    with pytest.raises(BadInput, match="none of"):
        readers.opened(tmp_path / "a.mp4")


# Minari


def minari_dataset(
    folder: Path, observations: list[Any], space: spaces.Space[Any], jpeg: bool = False, **more: Any
) -> Path:
    """One episode a list entry: written by Minari itself."""
    (folder / "data").mkdir(parents=True)
    storage = MinariStorage.new(folder / "data", space, spaces.Discrete(4), jpeg_encoding=jpeg)
    for number, seen in enumerate(observations):
        steps = len(next(iter(seen.values())) if isinstance(seen, dict) else seen) - 1
        told = {
            "seed": number,
            "actions": np.arange(steps) % 4,
            "rewards": np.arange(steps, dtype=np.float32),
            "terminations": np.zeros(steps, bool),
            "truncations": np.zeros(steps, bool),
            "infos": {"success": np.arange(steps + 1) == steps},
            **more,
        }
        storage.update_episodes([EpisodeBuffer(id=number, observations=seen, **told)])
    storage.update_metadata({"dataset_id": "tests/red-v0", "minari_version": "0.5.4"})
    return folder


def test_a_minari_dataset_is_read_by_folder_and_by_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = growing(5, 48)
    folder = minari_dataset(
        tmp_path / "tests" / "red-v0", [frames, frames[:3]], spaces.Box(0, 255, (48, 48, 3), np.uint8)
    )
    session = empty(tmp_path)
    ids = intake.take(session, [folder], Meaning(source="expert"))
    assert [session.trajectory(id).steps for id in ids] == [4, 2]
    found = session.trajectory(ids[0])
    assert np.array_equal(found.frames, frames) and found.success is True and found.seed == 0
    assert found.actions.tolist() == [0, 1, 2, 3] and found.rewards.tolist() == [0.0, 1.0, 2.0, 3.0]
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    by_id = intake.take(session, [Path("tests/red-v0")], Meaning(episodes=(1,)))
    assert by_id == ["human-000"] and session.trajectory("human-000").steps == 2


def test_a_dataset_of_jpegs_is_decoded_and_carries_a_warning(tmp_path: Path) -> None:
    box = spaces.Box(0, 255, (48, 48, 3), np.uint8)
    folder = minari_dataset(
        tmp_path / "a",
        [{"pixels": growing(3, 48), "n": np.zeros((3, 2))}],
        spaces.Dict(pixels=box, n=spaces.Box(0, 1, (2,))),
        jpeg=True,
    )
    looked = intake.preview(folder)
    assert "JPEG" in looked.lossy and looked.count == 3 and looked.first is not None
    assert looked.first.shape == (48, 48, 3)


def test_a_dataset_without_frames_says_why_it_cannot_be_taken_into_a_session_of_frames(tmp_path: Path) -> None:
    folder = minari_dataset(tmp_path / "a", [np.zeros((3, 4), np.float32)], spaces.Box(-1, 1, (4,)))
    assert any("holds no frames" in note for note in intake.preview(folder).notes)
    with pytest.raises(BadInput, match="no environment that could make them"):
        intake.take(empty(tmp_path), [folder])


def hostile(tmp_path: Path, change: Callable[[h5py.File], None]) -> Path:
    folder = minari_dataset(tmp_path / "a", [growing(3, 48)], spaces.Box(0, 255, (48, 48, 3), np.uint8))
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        change(file)
    return folder


def link_outside(file: h5py.File) -> None:
    del file["episode_0"]["rewards"]
    file["episode_0"]["rewards"] = h5py.ExternalLink("/etc/hostname", "/")


def soft_link(file: h5py.File) -> None:
    file["episode_0"]["again"] = h5py.SoftLink("/episode_0/rewards")


def store_outside(file: h5py.File) -> None:
    file["episode_0"].create_dataset("outside", shape=(8,), dtype="u1", external=[("/etc/hostname", 0, 8)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(8,), dtype="u1")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", shape=(8,))
    file["episode_0"].create_virtual_dataset("virtual", layout)


def far_too_large(file: h5py.File) -> None:
    file["episode_0"].create_dataset("large", shape=(2**20, 2**12), dtype="f8", chunks=(1024, 1024), compression="gzip")


def large_pieces(file: h5py.File) -> None:
    file["episode_0"].create_dataset(
        "pieces", shape=(8,), maxshape=(None,), dtype="f8", chunks=(2**26,), compression="gzip"
    )


def in_a_circle(file: h5py.File) -> None:
    file["episode_0"]["round"] = file["episode_0"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (link_outside, "link to another place"),
        (soft_link, "link to another place"),
        (store_outside, "in another file"),
        (virtual, "in another file"),
        (far_too_large, "more than 1,024 MiB"),
        (large_pieces, "pieces larger than"),
        (in_a_circle, "nests too deep"),
    ],
)
def test_a_hostile_dataset_is_refused(tmp_path: Path, change: Callable[[h5py.File], None], told: str) -> None:
    folder = hostile(tmp_path, change)
    with pytest.raises(BadInput, match=told):
        intake.take(empty(tmp_path), [folder])


def test_a_dataset_that_names_a_module_has_nothing_imported(tmp_path: Path) -> None:
    folder = minari_dataset(tmp_path / "a", [growing(3, 48)], spaces.Box(0, 255, (48, 48, 3), np.uint8))
    path = folder / "data" / "metadata.json"
    about = json.loads(path.read_text())
    about["env_spec"] = json.dumps({"id": "Evil-v0", "entry_point": "tests.evil_module:Env", "kwargs": {}})
    path.write_text(json.dumps(about))
    assert "recorded in Evil-v0" in intake.preview(folder).notes
    assert len(intake.take(empty(tmp_path), [folder])) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"data_format": "arrow"}', "{" * 100])
def test_metadata_that_are_none_or_another_format_are_refused(tmp_path: Path, text: str) -> None:
    folder = minari_dataset(tmp_path / "a", [growing(3, 48)], spaces.Box(0, 255, (48, 48, 3), np.uint8))
    (folder / "data" / "metadata.json").write_text(text)
    with pytest.raises(BadInput):
        readers.opened(folder)


def test_damaged_hdf5_is_refused(tmp_path: Path) -> None:
    folder = minari_dataset(tmp_path / "a", [growing(3, 48)], spaces.Box(0, 255, (48, 48, 3), np.uint8))
    path = folder / "data" / "main_data.hdf5"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadInput, match="cannot be read"):
        readers.opened(folder)


# Replaying


@pytest.fixture
def doorkey(tmp_path: Path) -> Session:
    recording = Recording(experts=1, randoms=1, random_steps=10)
    session = pipeline.create_from_env(
        tmp_path / "sessions", "doorkey", "MiniGrid-DoorKey-5x5-v0", settings={"tile_size": 8}, recording=recording
    )
    pipeline.record(session)
    return session


def observed(session: Session, id: str) -> dict[str, Any]:
    """What MiniGrid itself showed the agent on the way."""
    from vlmcar_core import rollouts

    there = session.trajectory(id)
    assert there.seed is not None
    _, seen = rollouts.record_again(session.task, there.seed, [int(action) for action in there.actions], "human")
    return {name: np.stack([np.asarray(one[name]) for one in seen]) for name in ("image", "direction")}


def minigrid_dataset(session: Session, folder: Path, **changed: Any) -> Path:
    """MiniGrid's own observations and no frames, as Minari keeps them; the mission cannot be kept."""
    there, seen = session.trajectory("expert-000"), observed(session, "expert-000")
    space = spaces.Dict(image=spaces.Box(0, 255, (7, 7, 3), np.uint8), direction=spaces.Discrete(4))
    told = {"actions": there.actions, "rewards": there.rewards, "infos": None, "seed": there.seed, **changed}
    return minari_dataset(folder, [seen], space, **told)


def test_a_minigrid_dataset_of_observations_is_replayed_into_the_very_frames(doorkey: Session, tmp_path: Path) -> None:
    ids = intake.take(doorkey, [minigrid_dataset(doorkey, tmp_path / "data")], Meaning(source="expert"))
    there, again = doorkey.trajectory("expert-000"), doorkey.trajectory(ids[0])
    assert np.array_equal(there.frames, again.frames) and again.success is True
    assert again.facts.keys() == there.facts.keys()
    origin = next(info.origin for info in doorkey.trajectories().items if info.id == ids[0])
    assert origin.endswith("replayed and held against its rewards and observations")


def test_a_replay_that_is_paid_otherwise_is_refused(doorkey: Session, tmp_path: Path) -> None:
    rewards = doorkey.trajectory("expert-000").rewards.copy()
    rewards[-1] = 0.25
    with pytest.raises(BadInput, match=r"at step \d+ it was paid 0.25, and the environment pays 0\.\d+ now"):
        intake.take(doorkey, [minigrid_dataset(doorkey, tmp_path / "data", rewards=rewards)])


def test_a_replay_that_shows_something_else_is_refused(doorkey: Session, tmp_path: Path) -> None:
    folder = minigrid_dataset(doorkey, tmp_path / "data")
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        file["episode_0"]["observations"]["image"][2, 3, 3, 0] += 1
    with pytest.raises(BadInput, match="after 2 steps its observations/image is another"):
        intake.take(doorkey, [folder])


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"seed": None}, "no seed"), ({"actions": np.full(4, 99), "rewards": np.zeros(4)}, "a recorded action is 99")],
)
def test_what_cannot_be_replayed_says_why(doorkey: Session, tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        intake.take(doorkey, [minigrid_dataset(doorkey, tmp_path / "data", **changed)])


# Out, and back


def exported(make_session: MakeSession) -> Session:
    session = make_session()
    session.add_trajectory(trajectory([0, 2, 4, 9]))
    session.add_trajectory(trajectory([0, 1, 0], source="random", success=False, seed=3))
    session.add_trajectory(trajectory([0, 1], source="human", success=None, seed=None))
    return session


def same(one: Session, other: Session) -> None:
    assert [info.id for info in one.trajectories().items] == [info.id for info in other.trajectories().items]
    for info in one.trajectories().items:
        a, b = one.trajectory(info.id), other.trajectory(info.id)
        assert np.array_equal(a.frames, b.frames) and np.array_equal(a.actions, b.actions)
        assert a.actions.dtype == b.actions.dtype and np.array_equal(a.rewards, b.rewards)
        assert (a.success, a.source, a.seed, a.env_id) == (b.success, b.source, b.seed, b.env_id)
        assert (a.terminated, a.truncated) == (b.terminated, b.truncated)
        assert a.facts.keys() == b.facts.keys() and all(np.array_equal(a.facts[key], b.facts[key]) for key in a.facts)


@pytest.mark.parametrize("form", outlet.FORMS)
def test_session_to_file_to_session_is_the_same(make_session: MakeSession, tmp_path: Path, form: Any) -> None:
    first, second = exported(make_session), make_session("again")
    assert outlet.export(first, tmp_path / "out", form) == 3
    intake.take(second, [tmp_path / "out"])
    same(first, second)


def test_npz_to_session_to_npz_is_the_same(make_session: MakeSession, tmp_path: Path) -> None:
    outlet.export(exported(make_session), tmp_path / "one", "npz")
    again = make_session("again")
    intake.take(again, [tmp_path / "one"])
    outlet.export(again, tmp_path / "two", "npz")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "two").iterdir()) and len(names) == 3
    for name in names:
        with np.load(tmp_path / "one" / name) as one, np.load(tmp_path / "two" / name) as two:
            assert set(one) == set(two)
            assert all(one[key].dtype == two[key].dtype and np.array_equal(one[key], two[key]) for key in one)


def test_minari_to_session_to_minari_is_the_same_to_minari(tmp_path: Path) -> None:
    from minari import MinariDataset

    frames = [growing(5, 48), growing(3, 48)]
    first = minari_dataset(tmp_path / "first", frames, spaces.Box(0, 255, (48, 48, 3), np.uint8))
    session = empty(tmp_path)
    intake.take(session, [first])
    outlet.export(session, tmp_path / "second", "minari")
    before, after = (MinariDataset(tmp_path / name / "data") for name in ("first", "second"))
    assert before.total_episodes == after.total_episodes == 2 and before.total_steps == after.total_steps == 6
    for one, two in zip(before, after, strict=True):
        for part in ("observations", "actions", "rewards", "terminations", "truncations"):
            assert np.array_equal(getattr(one, part), getattr(two, part)), part
        assert np.array_equal(one.infos["success"], two.infos["success"])


def test_minigrid_goes_to_minari_under_spaces_that_it_can_keep(doorkey: Session, tmp_path: Path) -> None:
    from minari import MinariDataset

    outlet.export(doorkey, tmp_path / "out", "minari", ["expert"])
    dataset = MinariDataset(tmp_path / "out" / "data")
    assert dataset.action_space == spaces.Discrete(7)
    assert np.array_equal(next(iter(dataset)).observations, doorkey.trajectory("expert-000").frames)


def test_a_folder_that_is_there_is_left_alone_and_a_failed_export_leaves_nothing(
    make_session: MakeSession, tmp_path: Path
) -> None:
    session = exported(make_session)
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInput, match="there already"):
        outlet.export(session, tmp_path / "out", "npz")
    session.add_trajectory(trajectory([5]))
    with pytest.raises(BadInput, match="has no step"):
        outlet.export(session, tmp_path / "new", "minari")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "red"]


# The registry


@pytest.mark.parametrize("name", plugins.names("readers"))
def test_every_reader_keeps_the_contract_and_refuses_what_is_not_its_own(tmp_path: Path, name: str) -> None:
    reader = plugins.load("readers", name)
    assert reader.TITLE and isinstance(reader.ENDINGS, tuple)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("words")
    for path in (tmp_path / "empty", tmp_path / "a.txt", tmp_path / "nowhere", tmp_path / "nowhere.npz"):
        assert not reader.fits(path)


def test_what_no_reader_takes_is_named_with_what_would_be(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(BadInput, match=r"'a.txt' is none of: GIF, Minari dataset, NPZ, folder of pictures, video"):
        readers.opened(tmp_path / "a.txt")
    with pytest.raises(BadInput, match="there is no file, folder or Minari dataset"):
        readers.opened(tmp_path / "nowhere")
