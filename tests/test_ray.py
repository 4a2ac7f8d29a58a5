"""Runs on a real Ray cluster of three nodes, all of them on loopback: spread, collected, killed, restarted, stopped."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import picture, proposal
from vlmcar_core import continuing, files, jobs, pipeline, queue, runs
from vlmcar_core.errors import BadInput
from vlmcar_core.store import Session
from vlmcar_core.types import Task

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None or importlib.util.find_spec("aiohttp") is None,
    reason='Ray is not installed: pip install "vlmcar-studio[ray]"',
)

MOVED = """
def check(initial, current):
    return bool((initial != current).any())
"""
TINY: dict[str, Any] = {"n_envs": 2, "n_steps": 32, "batch_size": 64}
SECONDS = 300.0
LOOPBACK = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # so that Ray takes 127.0.0.1 for this machine's address
    "RAY_DEDUP_LOGS": "0",
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
}
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
small = {"node_ip_address": "127.0.0.1", "object_store_memory": 80_000_000}
head = {"num_cpus": 0, "include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": int(sys.argv[1])}
cluster = Cluster(initialize_head=True, head_node_args={**head, **small})
nodes = {}
for _ in range(2):
    node = cluster.add_node(num_cpus=1, **small)
    nodes[node.node_id] = node
print("up", *nodes, flush=True)
for line in sys.stdin:
    if line.strip() in nodes:
        cluster.remove_node(nodes.pop(line.strip()), allow_graceful=False)
        nodes |= {node.node_id: node for node in [cluster.add_node(num_cpus=1, **small)]}
        print("removed", flush=True)
    else:
        break
cluster.shutdown()
"""


class Cluster:
    """A head without a core and two workers of one core each."""

    def __init__(self, process: subprocess.Popen[str], address: str, workers: list[str]) -> None:
        self.process, self.address, self.workers = process, address, workers

    def kill(self, worker: str) -> None:
        """End a worker's node without warning; another takes its place."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(worker, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline().startswith("removed")

    def node_of(self, entry: str, tries: int = 1) -> str:
        from ray.job_submission import JobSubmissionClient

        return str(JobSubmissionClient(self.address).get_job_info(f"vlmcar-{entry}-{tries}").driver_node_id)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **LOOPBACK},
    )
    assert process.stdout is not None and process.stdin is not None
    words = process.stdout.readline().split()
    assert words[:1] == ["up"], "the cluster did not start"
    yield Cluster(process, f"http://127.0.0.1:{port}", words[1:])
    children = psutil.Process(process.pid).children(recursive=True)
    process.stdin.close()
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
    for child in children:
        if child.is_running():
            child.kill()


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("PATH", LOOPBACK["PATH"])
    made = Session.create(tmp_path, "room", Task("MiniGrid-Empty-5x5-v0", "minigrid", settings={"tile_size": 8}))
    made.set_initial(picture(0))
    made.add_proposal(proposal(("move", MOVED)))
    return made


def wait_for(condition: Callable[[], bool], session: Session, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        said = [(jobs.read(folder).state, jobs.read(folder).message) for folder in session.run_folders()]
        log = queue.root() / "ray.log"
        assert time.monotonic() < deadline, f"waited too long: {said} {log.read_text()[-2000:] if log.exists() else ''}"
        time.sleep(0.1)


def started(session: Session, cluster: Cluster, rewards: list[str], seeds: int, **options: Any) -> list[Path]:
    where = {"launcher": "ray", "address": cluster.address, "settings": TINY}
    return [job.folder for job in pipeline.start_training(session, rewards, range(seeds), **where, **options)]


def entry_of(folder: Path) -> str:
    return str(files.read_json(folder / jobs.LAUNCH)["entry"])


def test_two_seeds_of_two_rewards_end_well_on_different_workers(session: Session, cluster: Cluster) -> None:
    folders = started(session, cluster, ["dense", "sparse"], 2, steps=192, evaluations=2, eval_episodes=1)
    assert [jobs.read(folder).launcher for folder in folders] == ["ray"] * 4
    wait_for(lambda: all(not jobs.read(folder).running for folder in folders), session)
    found = [jobs.read(folder) for folder in folders]
    assert [job.state for job in found] == ["success"] * 4, [job.message for job in found]
    for folder in folders:
        assert [row["steps"] for row in runs.read_evaluations(folder)][-1] == 192
        assert runs.read_progress(folder) and (folder / runs.MODEL).is_file()
    assert {cluster.node_of(entry_of(folder)) for folder in folders} == set(cluster.workers)
    assert pipeline.watch(session, 0, 1)
    wait_for(lambda: not queue.entries(), session)


def test_a_run_whose_worker_is_killed_is_started_again_and_ends_with_no_row_twice(
    session: Session, cluster: Cluster
) -> None:
    (folder,) = started(session, cluster, ["sparse"], 1, steps=12_000, evaluations=12, eval_episodes=1)
    wait_for(lambda: len(runs.read_evaluations(folder)) >= 2, session)
    assert jobs.read(folder).state == "started"
    cluster.kill(cluster.node_of(entry_of(folder)))
    wait_for(lambda: any(entry.tries == 2 for entry in queue.entries()), session)
    wait_for(lambda: not jobs.read(folder).running, session)
    assert jobs.read(folder).state == "success", jobs.read(folder).message
    steps = [row["steps"] for row in runs.read_evaluations(folder)]
    assert steps == sorted(set(steps)) and steps[-1] >= 12_000 and len(steps) == 12
    assert went_on(folder) >= steps[1], "it went on from a checkpoint, and did not begin anew"


def went_on(folder: Path) -> int:
    """The steps of the checkpoint that a run went on from; 0 where it began anew."""
    return max((row["resumed"] or 0 for row in runs.read_progress(folder)), default=0)


def test_a_stopped_run_goes_on_on_the_cluster_and_so_does_a_clone(session: Session, cluster: Cluster) -> None:
    (folder,) = started(session, cluster, ["dense"], 1, steps=8_000, evaluations=8, eval_episodes=1)
    wait_for(lambda: len(runs.read_evaluations(folder)) >= 2 and runs.checkpoint(folder) is not None, session)
    jobs.cancel(folder)
    wait_for(lambda: not jobs.read(folder).running, session)
    assert jobs.read(folder).state == "cancelled"
    there = runs.checkpoint(folder)
    assert there is not None
    continuing.resume(session, 0, "ray", cluster.address)
    wait_for(lambda: not jobs.read(folder).running, session)
    assert jobs.read(folder).state == "success", jobs.read(folder).message
    assert went_on(folder) == there[1] > 0
    steps = [row["steps"] for row in runs.read_evaluations(folder)]
    assert steps == sorted(set(steps)) and len(steps) == 8

    job = continuing.clone(session, 0, {"steps": 9_000, "evaluations": 9}, True, "ray", cluster.address)
    wait_for(lambda: not jobs.read(job.folder).running, session)
    assert jobs.read(job.folder).state == "success", jobs.read(job.folder).message
    assert went_on(job.folder) == runs.read_config(job.folder).began_with >= 8_000
    assert [row["steps"] >= 9_000 for row in runs.read_evaluations(job.folder)] == [True]

    job = continuing.clone(session, 0, {"steps": 192, "evaluations": 1}, False, "ray", cluster.address)
    wait_for(lambda: not jobs.read(job.folder).running, session)
    assert jobs.read(job.folder).state == "success" and went_on(job.folder) == 0


def test_the_process_that_collects_is_killed_and_the_next_goes_on(session: Session, cluster: Cluster) -> None:
    folders = started(session, cluster, ["sparse"], 1, steps=8_000, evaluations=8, eval_episodes=1)
    wait_for(lambda: len(runs.read_evaluations(folders[0])) >= 2, session)
    (server,) = [process for process in psutil.process_iter() if _serves(process)]
    server.kill()
    wait_for(lambda: not jobs.read(folders[0]).running, session)
    assert jobs.read(folders[0]).state == "success"
    assert len(runs.read_evaluations(folders[0])) == 8


def _serves(process: psutil.Process) -> bool:
    try:
        mine = process.environ().get(queue.FOLDER_VARIABLE) == os.environ[queue.FOLDER_VARIABLE]
        return mine and process.cmdline()[1:] == ["-m", "vlmcar_core.launching", "ray"]
    except psutil.Error:
        return False


def test_a_run_is_stopped_on_the_cluster_and_keeps_its_rows(session: Session, cluster: Cluster) -> None:
    folders = started(session, cluster, ["sparse"], 1, steps=3_000_000, evaluations=1000, eval_episodes=1)
    wait_for(lambda: len(runs.read_evaluations(folders[0])) >= 2, session)
    jobs.cancel(folders[0])
    wait_for(lambda: not jobs.read(folders[0]).running, session)
    assert jobs.read(folders[0]).state == "cancelled" and len(runs.read_evaluations(folders[0])) >= 2
    wait_for(lambda: not queue.entries(), session)


def test_a_run_that_fails_by_itself_is_not_started_again(session: Session, cluster: Cluster) -> None:
    folder = session.new_run_folder()
    runs.write_config(folder, runs.RunConfig(reward="sparse", settings={"no_such": 1}))
    pipeline.start_run(session, folder, "ray", cluster.address)
    wait_for(lambda: not jobs.read(folder).running, session)
    found = jobs.read(folder)
    assert found.state == "error" and "no_such" in found.message


def test_a_run_whose_cluster_is_gone_waits_for_it_and_can_be_stopped(session: Session) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        folder = session.new_run_folder()
        runs.write_config(folder, runs.RunConfig(reward="sparse"))
        listener.settimeout(0)
        pipeline.start_run(session, folder, "ray", address)
    wait_for(lambda: "does not answer" in jobs.read(folder).message, session)
    assert jobs.read(folder).state == "waiting"
    jobs.cancel(folder)
    assert jobs.read(folder).state == "cancelled"
    wait_for(lambda: not queue.entries(), session)


def test_a_cluster_that_does_not_answer_is_named_before_anything_is_made(session: Session) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(BadInput, match="no Ray cluster answers"):
        pipeline.start_training(session, ["sparse"], [0], launcher="ray", address=f"http://127.0.0.1:{port}")
    assert not session.run_folders()
