"""A folder told through a process's output and written again: the same, however often and however it is cut."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from vlmcar_core import files, jobs
from vlmcar_core.launchers._relay import MARK, PIECE_BYTES, Collector, Teller


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    (folder / "videos").mkdir(parents=True)
    (folder / "model.zip").write_bytes(random.Random(0).randbytes(3 * PIECE_BYTES + 7))
    (folder / "videos" / "000.npz").write_bytes(b"")
    (folder / "progress.jsonl").write_text('{"steps": 1}\n')
    files.write_json(folder / jobs.STATUS, {"state": "success", "pid": 17, "process_created": 1.0, "updated": 1.0})
    for name in (jobs.LAUNCH, "config.json"):
        files.write_json(folder / name, {"there": True})
    return folder


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    files.write_json(folder / "config.json", {"here": True})
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_arrives_as_it_is_but_for_what_is_of_one_machine(there: Path, here: Path) -> None:
    text = "".join(Teller(there).lines())
    collector = Collector(here)
    collector.take(text)
    found, sent = contents(here), contents(there)
    assert set(found) == set(sent) - {jobs.LAUNCH}
    for name in ("model.zip", "videos/000.npz", "progress.jsonl"):
        assert found[name] == sent[name]
    assert json.loads(found["config.json"])["here"]
    status = json.loads(found[jobs.STATUS])
    assert (status["state"], status["pid"]) == ("success", None) and status["updated"] > 1.0
    assert max(map(len, text.splitlines())) < 20_000


def test_only_what_changed_is_told_and_rows_are_told_as_they_come(there: Path, here: Path) -> None:
    teller, collector = Teller(there), Collector(here)
    collector.take("".join(teller.lines()))
    assert list(teller.lines()) == []
    with (there / "progress.jsonl").open("a") as rows:
        rows.write('{"steps": 2}\n')
    (there / "model.zip").write_bytes(b"another")
    told = list(teller.lines())
    assert sum(map(len, told)) < 600
    collector.take("".join(told))
    assert (here / "progress.jsonl").read_text() == '{"steps": 1}\n{"steps": 2}\n'
    assert (here / "model.zip").read_bytes() == b"another"


def test_cut_anywhere_and_told_again_from_the_beginning_it_is_the_same(there: Path, here: Path) -> None:
    teller = Teller(there)
    text = "".join(teller.lines())
    with (there / "progress.jsonl").open("a") as rows:
        rows.write("".join(f'{{"steps": {step}}}\n' for step in range(2000)))
    text += "".join(teller.lines())
    lot = random.Random(1)
    for _ in range(20):
        collector, at = Collector(here), 0
        end = lot.randrange(len(text))
        while at < end:
            step = lot.randrange(1, 30_000)
            collector.take(text[at : min(at + step, end)])
            at += step
    Collector(here).take(text)
    assert contents(here)["progress.jsonl"] == contents(there)["progress.jsonl"]
    assert contents(here)["model.zip"] == contents(there)["model.zip"]


def test_another_try_begins_the_rows_anew(here: Path, tmp_path: Path) -> None:
    for number, rows in enumerate(("first 1\nfirst 2\n", "second 1\n")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "progress.jsonl").write_text(rows)
        Collector(here).take("".join(Teller(folder).lines()))
    assert (here / "progress.jsonl").read_text() == "second 1\n"


def test_the_newest_checkpoint_takes_the_place_of_the_one_before(there: Path, here: Path) -> None:
    teller, collector = Teller(there), Collector(here)
    for steps in (1000, 2000):
        (there / f"checkpoint-{steps:09d}.zip").write_bytes(b"all that is needed")
        collector.take("".join(teller.lines()))
    assert [path.name for path in here.glob("checkpoint-*")] == ["checkpoint-000002000.zip"]


def test_what_no_run_tells_is_passed_over(here: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    before = contents(here)
    collector = Collector(here)
    lines = [
        {"name": "../outside", "at": 0, "data": "eA=="},
        {"name": str(outside), "at": 0, "data": "eA=="},
        {"name": "a/b/c", "at": 0, "data": "eA=="},
        {"name": ".hidden", "at": 0, "data": "eA=="},
        {"name": "config.json", "at": 0, "data": "eA==", "size": 1, "crc": 1},
        {"name": "model.zip", "at": 0, "data": "eA==", "size": 1, "crc": 1},
        {"name": "model.zip", "at": 0, "data": "eA==", "size": 2**60, "crc": 1},
        {"name": "model.zip", "at": -1, "data": "eA=="},
        {"name": "model.zip", "at": 0, "data": "no base64!"},
        {"name": "model.zip"},
        [1],
    ]
    collector.take("".join(f"{MARK}{json.dumps(line)}\n" for line in lines) + f"{MARK}{{\nsome words\n")
    assert contents(here) == before and not outside.exists()
    assert collector.last == "some words"


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(there: Path, here: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    (here / "model.zip").symlink_to(outside)
    Collector(here).take("".join(Teller(there).lines()))
    assert outside.read_text() == "untouched" and not (here / "model.zip").is_symlink()


def test_what_a_run_prints_goes_to_its_log_and_arrives_with_it(tmp_path: Path, here: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom vlmcar_core import jobs\n"
        "from vlmcar_core.launchers import _relay\n"
        "folder = Path(sys.argv[1])\n"
        "with _relay.relaying(folder), jobs.running(folder, 'train') as job:\n"
        "    print('a word', flush=True)\n    job.finish('success', 'done')\n"
        "print('the end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.endswith("the end\n") and "a word" not in done.stdout.replace(MARK, "")
    Collector(here).take(done.stdout)
    assert jobs.log(here) == "a word" and jobs.read(here).state == "success"
