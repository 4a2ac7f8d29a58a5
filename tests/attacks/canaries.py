"""Files that no checker may read or change, of every kind that the libraries read, in a folder open to everybody."""

import hashlib
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np

MODULE = "VALUE = 'canary'\n"
TENSOR = bytes([0x08, 1, 0x10, 1, 0x4A, 4, *np.float32(42).tobytes()])
"""An ONNX TensorProto: dims 1, float, four raw bytes."""
PATTERN = np.full((8, 8, 3), (10, 20, 30), np.uint8)


class Canaries:
    """The folder; written anew by `reset` where an attack has changed it."""

    def __init__(self, folder: Path, secret: str) -> None:
        self.folder, self._secret = folder, secret
        self._before: dict[str, str] = {}
        self._write()

    def facts(self) -> dict[str, str | int]:
        """Names for the attacks; NEW is a path at which nothing is."""
        return {"FOLDER": str(self.folder), "CANARY": str(self.folder / "canary.txt"), "NEW": str(self.folder / "new")}

    def traces(self) -> list[str]:
        """What is not as it was written."""
        now = _state(self.folder)
        changed = [f"{name} was changed" for name in self._before if name in now and now[name] != self._before[name]]
        gone = [f"{name} is gone" for name in self._before if name not in now]
        new = [f"{name} was made" for name in now if name not in self._before]
        return changed + gone + new

    def reset(self) -> None:
        if _state(self.folder) != self._before:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._write()

    def _write(self) -> None:
        folder = self.folder
        folder.mkdir(exist_ok=True)
        (folder / "canary.txt").write_text(f"{self._secret}\n1.0\n")
        (folder / "numbers.txt").write_text("42.0\n")
        (folder / "library.py").write_text(MODULE)
        (folder / "tensor.pb").write_bytes(TENSOR)
        for name in ("canary.png", "canary_0.png"):
            cv2.imwrite(str(folder / name), PATTERN)
        np.save(folder / "array.npy", np.array([42.0]))
        np.save(folder / "pickled.npy", np.array(["canary"], object), allow_pickle=True)
        (folder / "storage.yml").write_text("%YAML:1.0\n---\nvalue: 42\n")
        with zipfile.ZipFile(folder / "library.zip", "w") as library:
            library.writestr("zipped_library.py", MODULE)
        (folder / "empty").mkdir()
        for path in (folder, *folder.iterdir()):
            path.chmod(0o777)
        self._before = _state(folder)


def _state(folder: Path) -> dict[str, str]:
    """Path to what would show a change, of a folder and all in it."""
    if not folder.exists():
        return {}
    return {str(path.relative_to(folder)): _digest(path) for path in (folder, *folder.rglob("*"))}


def _digest(path: Path) -> str:
    found = path.lstat()
    content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return f"{found.st_mode:o} {found.st_size} {found.st_mtime_ns} {found.st_nlink} {content}"
