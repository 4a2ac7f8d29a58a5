"""The commands around models, as processes: what they print, how they end, and that no key is in what they leave."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recorded_answers import ANSWERS, AT_LEAST, MODEL, Serving, painted, record, recorded, serving
from vlmcar_core import pipeline, repair, servers
from vlmcar_core.authoring import answer_by_hand
from vlmcar_core.servers import Server
from vlmcar_core.store import Session

SECRET = "sk-given-in-the-environment-42"


def vlmcar(root: Path, *arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("VLMCAR_", "OPENAI_"))}
    argv = [sys.executable, "-m", "vlmcar_core", "--root", str(root), *arguments]
    return subprocess.run(argv, env={**ours, **environment}, capture_output=True, text=True, timeout=120, input=text)


def at(replay: Serving) -> dict[str, str]:
    return {servers.URL_VARIABLE: replay.url, servers.MODEL_VARIABLE: MODEL, servers.KEY_VARIABLE: SECRET}


def rejected(root: Path) -> Session:
    """A wrong checker, and the recorded answer that mends it."""
    session = painted(root)
    record(session, (*ANSWERS[:3], AT_LEAST.format(pixels=99), ANSWERS[4]))
    pipeline.verify(session)
    dialogue = repair.begin(session, Server(), "paint-seven-pixels", "clipboard")
    answer_by_hand(session, dialogue, ANSWERS[3], MODEL)
    return session


def test_a_model_is_listed_tested_asked_ranked_and_adopted(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, key=SECRET) as replay:
        assert vlmcar(tmp_path, "models", **at(replay)).stdout == f"{MODEL}\n"
        assert "named all four colours" in vlmcar(tmp_path, "test-vlm", **at(replay)).stdout
        asked = vlmcar(tmp_path, "propose", "red", "--proposer", "openai", "--hint", "paint", **at(replay))
        assert asked.returncode == 0 and f"proposal 1 by {MODEL}: hint: paint" in asked.stdout
        several = vlmcar(tmp_path, "propose", "red", "--proposer", "openai", "--candidates", "2", **at(replay))
    assert several.returncode == 0 and "accepted" in several.stdout and "price not known" in several.stdout
    assert "proposal 4" in vlmcar(tmp_path, "adopt", "red", "2").stdout
    assert "candidate 2 as it is" in vlmcar(tmp_path, "merge", "red", "2").stdout
    assert "proposal 1" in vlmcar(tmp_path, "dialogues", "red").stdout
    assert "How would you know the final goal is completed?" in vlmcar(tmp_path, "dialogues", "red", "1").stdout
    assert not any(SECRET.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_wrong_key_is_one_message_and_exit_code_1(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session, key="another") as replay:
        ended = vlmcar(tmp_path, "propose", "red", "--proposer", "openai", **at(replay))
        assert ended.returncode == 1 and "Traceback" not in ended.stderr
        assert "does not accept the key from: the environment's VLMCAR_API_KEY" in ended.stderr
        assert SECRET not in ended.stderr + ended.stdout
        resumed = vlmcar(tmp_path, "propose", "red", "--resume", "1", **{**at(replay), servers.KEY_VARIABLE: "another"})
    assert "proposal 1" in resumed.stdout


def test_a_chat_page_is_asked_in_turns(tmp_path: Path) -> None:
    painted(tmp_path)
    shown = vlmcar(tmp_path, "propose", "red", "--proposer", "clipboard")
    assert "What do you think the final goal is?" in shown.stdout and "goal.png]" in shown.stdout
    for answer in ("", *ANSWERS):
        shown = vlmcar(tmp_path, "answer", "red", "-", "--model", "a chat page", text=answer)
    assert "proposal 0 by a chat page" in shown.stdout
    assert "no question waits" in vlmcar(tmp_path, "answer", "red", "-", text="x").stderr


def test_mending_one_round_and_unattended(tmp_path: Path) -> None:
    session = rejected(tmp_path)
    with serving(session) as replay:
        asked = (*("--set", "structured=off", "--set", "retries=0"),)
        one = vlmcar(tmp_path, "repair", "red", *asked, **at(replay))
        assert one.returncode == 0 and "mends 2 of 2 that were wrong" in one.stdout, one.stderr
        auto = vlmcar(tmp_path, "repair", "red", "--auto", *asked, **at(replay))
        assert auto.returncode == 0 and "paint-seven-pixels: mended, proposal" in auto.stdout
        again = vlmcar(tmp_path, "repair", "red", "--auto", *asked, **at(replay))
    assert "no checker is rejected" in again.stdout


def test_unattended_mending_that_does_not_mend_is_exit_code_4(tmp_path: Path) -> None:
    session = painted(tmp_path)
    record(session, (*ANSWERS[:3], AT_LEAST.format(pixels=99), ANSWERS[4]))
    pipeline.verify(session)
    dialogue = repair.begin(session, Server(), "paint-seven-pixels", "clipboard")
    answer_by_hand(session, dialogue, AT_LEAST.format(pixels=98), MODEL)
    with serving(session) as replay:
        ended = vlmcar(tmp_path, "repair", "red", "--auto", "--rounds", "2", "--set", "structured=off", **at(replay))
    assert ended.returncode == 4 and "not mended" in ended.stdout


def test_models_are_compared(tmp_path: Path) -> None:
    session = recorded(tmp_path)
    with serving(session) as replay:
        arguments = ("compare-vlms", "--model", MODEL, "--task", "red", "--repeats", "2")
        ended = vlmcar(tmp_path, *arguments, **at(replay))
    assert ended.returncode == 0, ended.stderr
    assert f"{MODEL:28} 2 of 2 (16% to 100%)" in ended.stdout and "built-in, no VLM" in ended.stdout
    assert "4 of 4 cells" in vlmcar(tmp_path, "compare-vlms", "--resume", "0").stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("propose", "red", "--hint", "x"), "the built-in proposer reads no words"),
        (("propose", "red", "--proposer", "openai"), "no model is chosen"),
        (("propose", "red", "--proposer", "openai", "--budget-money", "-1"), "more than 0, not -1"),
        (("propose", "red", "--proposer", "openai", "--set", "side"), "takes NAME=VALUE, not 'side'"),
        (("propose", "red", "--proposer", "openai", "--resume", "7"), "no dialogue '7'"),
        (("vlm", "--base-url", "nowhere"), "'nowhere' is no address"),
        (("prompts", "red", "nothing"), "no prompt 'nothing'"),
        (("prices", "--set", "m", "cheap", "1"), "a price is a model and two numbers"),
        (("prices", "--remove", "m"), "no model in the price table 'm'"),
        (("rank", "red"), "no verified candidate"),
        (("repair", "red"), "no checker is rejected"),
        (("compare-vlms", "--model", "m"), "at least one model and one task"),
        (("replay-server", "empty"), "nothing is recorded"),
        (("replay-server", "red", "--fault", "explode"), "no fault 'explode'"),
    ],
)
def test_a_wrong_request_is_told_in_one_line(tmp_path: Path, arguments: tuple[str, ...], why: str) -> None:
    recorded(tmp_path)
    painted(tmp_path, "empty")
    ended = vlmcar(tmp_path, *arguments)
    assert ended.returncode == 1 and why in ended.stderr and "Traceback" not in ended.stderr


def test_a_prompt_is_shown_changed_compared_and_reset(tmp_path: Path) -> None:
    painted(tmp_path)
    own = tmp_path / "own.md"
    own.write_text("$frames\nWhat is it?\n$form\n")
    assert "What is it?" in vlmcar(tmp_path, "prompts", "red", "goal", "--set", str(own)).stdout
    assert "+What is it?" in vlmcar(tmp_path, "prompts", "red", "goal", "--diff").stdout
    assert "own" in vlmcar(tmp_path, "prompts", "red").stdout
    assert "What do you think" in vlmcar(tmp_path, "prompts", "red", "goal", "--reset").stdout


def test_the_replay_server_lists_its_faults_and_serves_each_in_its_turn(tmp_path: Path) -> None:
    listed = vlmcar(tmp_path, "replay-server", "--list-faults").stdout
    assert "429" in listed and "no-schema" in listed
