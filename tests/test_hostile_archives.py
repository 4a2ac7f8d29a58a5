"""A stranger's zip files and arrays: no bomb goes off, nothing is unpacked to disk, nothing is allocated unseen."""

import io
import json
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.fuzz_specimen import NAME
from tests.strangers import contents, within
from vlmcar_core import archives, files, recordings
from vlmcar_core.errors import DamagedFile
from vlmcar_core.store import Session


@pytest.fixture
def session(strangers: Path) -> Session:
    return Session(strangers / NAME)


def rewritten(path: Path, changes: dict[str, bytes | None]) -> None:
    """A zip file with some members replaced, added, or (None) taken out."""
    with zipfile.ZipFile(path) as archive:
        members: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (members | changes).items():
            if data is not None:
                archive.writestr(name, data)


def patched(path: Path, at_local: int, at_central: int, value: bytes) -> None:
    """A zip file with a field of its last member overwritten, in the local header and in the table of contents."""
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", at_local), (b"PK\x01\x02", at_central)):
        start = data.rindex(signature) + offset
        data[start : start + len(value)] = value
    path.write_bytes(data)


@pytest.fixture
def episode(session: Session) -> Path:
    return session.trajectory_path("expert-000")


def refused(path: Path) -> str:
    """Why a trajectory cannot be read; the listing and the other trajectories go on."""
    with within(20), pytest.raises(DamagedFile, match=path.name) as caught:
        recordings.read(path)
    session = Session(path.parent.parent)
    listing = session.trajectories()
    assert {info.id for info in listing.items} >= {"expert-001", "random-000"}
    session.trajectory("expert-001")
    return str(caught.value)


def test_a_name_that_stands_twice_is_refused(episode: Path) -> None:
    with zipfile.ZipFile(episode, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("meta.json", b"{}")
    assert "a name twice" in refused(episode)


def test_members_that_share_bytes_are_refused(episode: Path) -> None:
    data = bytearray(episode.read_bytes())
    with zipfile.ZipFile(episode) as archive:
        first = archive.start_dir
    second = data.index(b"PK\x01\x02", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    episode.write_bytes(data)
    assert "share bytes" in refused(episode)


def test_an_encrypted_member_is_refused(episode: Path) -> None:
    rewritten(episode, {"steps.npz": None, "meta.json": None})
    with zipfile.ZipFile(episode, "a") as archive:
        archive.writestr("meta.json", b"{}")
    patched(episode, 6, 8, struct.pack("<H", 1))
    assert "encrypted" in refused(episode)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_whose_reader_cannot_be_bounded_is_refused(episode: Path, method: int) -> None:
    rewritten(episode, {"meta.json": None})
    with zipfile.ZipFile(episode, "a", method) as archive:
        archive.writestr("meta.json", b" " * 1000 + b"{}")
    assert "method that is not read" in refused(episode)


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "C:\\evil", "frames/../../evil"])
def test_a_member_that_is_a_path_is_never_unpacked(episode: Path, tmp_path: Path, name: str) -> None:
    rewritten(episode, {name: b"evil"})
    before = contents(tmp_path)
    recordings.read(episode)
    assert contents(tmp_path) == before


def npy(descr: str = "<i4", shape: str = "(4,)", data: bytes = bytes(16), fortran: str = "False") -> bytes:
    header = f"{{'descr': {descr if descr.startswith('[') else repr(descr)}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npz(**arrays: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in arrays.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "order",
    [
        npy("|O"),
        npy("<i4", "(1000000000000,)"),
        npy("<i4", "(4294967296, 4294967296)"),
        npy("<i4", "(-4,)"),
        npy("<i4", f"({'9' * 5000},)"),
        npy("<i4", "(" * 5000 + ")" * 5000),
        npy("<i4", "(__import__('os').system('true'),)"),
        npy("[('a', '<i4')]"),
        npy("<U1000000000"),
        npy("<M8[s]"),
        npy("<i3"),
        npy("<i4", "(4,)", bytes(15)),
        npy("<i4", "(4,)", bytes(17)),
        npy("<i4", "(2, 2)"),
        npy("<i4", "()", bytes(4)),
        npy("<f4"),
        npy("<i4", "(4,)", struct.pack("<4i", 0, -1, 1, 2)),
        npy("<i4", "(4,)", struct.pack("<4i", 0, 1, 2, 2**31 - 1)),
        npy("<i4", "(3,)", struct.pack("<3i", 0, 1, 2)),
        npy("<U1", "(4,)", b"\xff\xff\xff\xff" * 4),
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x03\x00" + bytes(100),
        b"\x80\x04\x95",
    ],
)
def test_an_order_of_frames_that_cannot_be_is_refused_before_anything_is_allocated(episode: Path, order: bytes) -> None:
    arrays = {"actions": npy("<i8", "(3,)", bytes(24)), "rewards": npy("<f8", "(3,)", bytes(24))}
    rewritten(episode, {"steps.npz": npz(order=order, **arrays)})
    assert "expert-000.zip" in refused(episode)


@pytest.mark.parametrize(
    "changes",
    [
        {"rewards": npy("<f8", "(2,)", bytes(16))},
        {"rewards": npy("<f8", "(3, 1)", bytes(24))},
        {"actions": npy("<i8", "(4,)", bytes(32))},
        {"actions": npy("<i8", "(3, 1, 1)", bytes(24))},
        {"actions": npy("<U1", "(3,)", bytes(12))},
        {"fact:red": npy("|b1", "(3,)", bytes(3))},
        {"fact:red": npy("|u1", "(4,)", bytes(4))},
    ],
)
def test_steps_of_unequal_lengths_are_refused(episode: Path, changes: dict[str, bytes]) -> None:
    arrays = {
        "order": npy("<i4", "(4,)", struct.pack("<4i", 0, 1, 1, 2)),
        "actions": npy("<i8", "(3,)", bytes(24)),
        "rewards": npy("<f8", "(3,)", bytes(24)),
    }
    rewritten(episode, {"steps.npz": npz(**arrays)})
    assert recordings.read(episode).steps == 3
    rewritten(episode, {"steps.npz": npz(**(arrays | changes))})
    refused(episode)


def test_an_array_in_fortran_order_is_read_as_it_was_meant() -> None:
    data = np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))
    buffer = io.BytesIO()
    np.save(buffer, data)
    assert np.array_equal(archives.array(buffer.getvalue()), data)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"steps": 10**18}, "no trajectory"),
        ({"steps": 999_999, "shape": [4096, 4096]}, "GiB are more than is held in memory"),
        ({"steps": 2}, "order of its frames"),
        ({"shape": [8, 13]}, "is 12 × 8 pixels, the trajectory's are 13 × 8"),
        ({"shape": [0, 0]}, "no trajectory"),
        ({"success": "yes"}, "success"),
        ({"source": "nobody"}, "source"),
        ({"seed": 1.5}, "seed"),
        ({"versions": {"a": 1}}, "versions"),
        ({"version": 2}, "no version"),
        ({"return": None}, "ret"),
    ],
)
def test_a_description_that_cannot_be_is_refused(episode: Path, changes: dict[str, Any], why: str) -> None:
    with zipfile.ZipFile(episode) as archive:
        meta = json.loads(archive.read("meta.json"))
    rewritten(episode, {"meta.json": json.dumps(meta | changes).encode()})
    assert why in refused(episode)


def test_frames_of_another_size_are_refused_one_by_one_too(episode: Path) -> None:
    other = files.png(np.zeros((9, 12, 3), np.uint8))
    rewritten(episode, {"frames/000001.png": other})
    refused(episode)
    with pytest.raises(DamagedFile, match="picture 1 is 12 × 9"):
        recordings.read_png(episode, 1)
    with pytest.raises(DamagedFile, match="picture 1 is 12 × 9"):
        recordings.read_frame(episode, 1)


# Bombs: in a process of its own, whose memory is looked at

BOMBS = """
import resource, sys, time
from pathlib import Path
from vlmcar_core import images, recordings
from vlmcar_core.errors import BadImage, DamagedFile

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

for path in sorted(Path(sys.argv[1]).iterdir()):
    before, began = peak(), time.monotonic()
    try:
        images.decode(path.read_bytes(), path.name) if path.suffix != ".zip" else recordings.read(path)
        print(path.name, "was read")
    except (BadImage, DamagedFile) as error:
        pass
    if peak() - before > 150 or time.monotonic() - began > 8:
        print(path.name, f"cost {peak() - before:.0f} MiB and {time.monotonic() - began:.1f} s")
"""


SIZE = 400 * 2**20


def deflated(size: int, wbits: int = -15) -> bytes:
    """So many zeros, packed a mebibyte at a time."""
    packer = zlib.compressobj(1, zlib.DEFLATED, wbits)
    return b"".join([*(packer.compress(bytes(2**20)) for _ in range(size // 2**20)), packer.flush()])


def zip_bomb(path: Path, name: str, size: int) -> None:
    """A zip whose one member says that it is small and unpacks to `size` zeros."""
    data = deflated(size)
    named = name.encode()
    told = struct.pack("<IIIHH", 0, len(data), 100, len(named), 0)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + told + named
    central = (
        b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + told + struct.pack("<HHHII", 0, 0, 0, 0, 0) + named
    )
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(data), 0)
    path.write_bytes(local + data + central + end)


def png_bytes(width: int, height: int, packed: bytes, extra: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_no_bomb_costs_memory_or_time(episode: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bombs"
    folder.mkdir()
    much = deflated(SIZE, wbits=15)
    (folder / "wide.png").write_bytes(png_bytes(100_000, 100_000, zlib.compress(b"\0" * 1000)))
    (folder / "most.png").write_bytes(png_bytes(2**31 - 1, 2**31 - 1, b""))
    (folder / "none.png").write_bytes(png_bytes(0, 0, zlib.compress(b"")))
    (folder / "long.png").write_bytes(png_bytes(4097, 8, much))
    text = struct.pack(">I", len(much) + 3) + b"zTXta\0\0" + much
    text += struct.pack(">I", zlib.crc32(b"zTXta\0\0" + much))
    (folder / "text.png").write_bytes(png_bytes(16, 16, b"", text))
    webp = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\xff\xff\xff\xff"
    (folder / "canvas.webp").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(webp)) + b"WEBP" + webp)
    (folder / "empty.png").write_bytes(b"")
    zip_bomb(folder / "lying.zip", "meta.json", SIZE)
    for name in ("meta.json", "steps.npz", "frames/000000.png"):
        path = folder / f"large-{name.replace('/', '-')}.zip"
        shutil.copy(episode, path)
        rewritten(path, {name: None})
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(name, bytes(SIZE))
    inner = folder / "inner.zip"
    shutil.copy(episode, inner)
    frame = png_bytes(30_000, 30_000, much)
    rewritten(inner, {"frames/000001.png": frame})
    many = folder / "many-names.zip"
    entry = b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    contents_size = len(entry) * 2_000_000
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 65535, 65535, contents_size, 0, 0)
    many.write_bytes(entry * 2_000_000 + end)
    done = subprocess.run([sys.executable, "-c", BOMBS, str(folder)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr[-2000:]) == (0, "", "")
