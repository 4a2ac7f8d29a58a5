"""What models write, in all its forms, read as what was asked for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmcar_core import reading
from vlmcar_core.reading import CheckAnswer, GoalAnswer, Misread, SubTasksAnswer, read

CODE = "def check(initial, current):\n    return {1: True}[1]\n"


@pytest.mark.parametrize(
    "text",
    [
        "Open the door.",
        "  **Open the door.**\n",
        "Goal: Open the door.",
        "The final goal is: Open the door.",
        "## Goal: Open the door.",
        '{"goal": "Open the door."}',
        '```json\n{"goal": "Open the door."}\n```',
        'Sure! {"goal": "Open the door."} Does that help?',
        '<think>Is it the key? {"goal": "No"}</think>\nOpen the door.',
        "Open\tthe\x07 door.\r\n\r\nBecause the key is there.",
    ],
)
def test_a_goal_is_read_in_every_form(text: str) -> None:
    assert read("goal", text) == GoalAnswer("Open the door.")


@pytest.mark.parametrize(
    "text",
    [
        "1. Take the key\n2. Open the door\n",
        "1) Take the key\n2) Open the door",
        "1. **Take the key**\n   because it is needed\n2. **Open the door**",
        "- Take the key\n- Open the door",
        "Sub-task 1: Take the key\nSub-task 2: Open the door",
        '{"subtasks": ["Take the key", "Open the door"], "code": ""}',
        '{"subtasks": [{"title": "Take the key"}, {"title": "Open the door"}]}',
    ],
)
def test_sub_tasks_are_read_in_every_form(text: str) -> None:
    found = read("subtasks", text)
    assert isinstance(found, SubTasksAnswer) and found.titles == ("Take the key", "Open the door")


def test_code_comes_with_the_sub_tasks_and_its_numbered_comments_are_none() -> None:
    found = read("subtasks", "1. Take the key\n```python\n# 1. first\n# 2. second\nx = {}\n```\n")
    assert found == SubTasksAnswer(("Take the key",), "# 1. first\n# 2. second\nx = {}\n")


@pytest.mark.parametrize(
    "text",
    [
        f"Because it is so.\n```python\n{CODE}```",
        f"Because it is so.\n```\n{CODE}```\nGood luck!",
        f"```python\n{CODE}",
        f"~~~py\n{CODE}~~~",
        CODE,
        json.dumps({"explanation": "Because", "code": CODE}),
        json.dumps({"code": f"```python\n{CODE}```"}),
        f"First a try:\n```python\nx = 1\n```\nThen:\n```python\n{CODE}```",
        f"```python\n{CODE}```".replace("\n", "\r\n"),
    ],
)
def test_a_checker_is_read_in_every_form(text: str) -> None:
    found = read("check-1", text)
    assert isinstance(found, CheckAnswer) and found.code == CODE


@pytest.mark.parametrize(
    ("stage", "text", "why"),
    [
        ("goal", "", "no sentence"),
        ("goal", '{"goal": 3}', 'no text "goal"'),
        ("subtasks", "I see a key.", "no numbered list"),
        ("subtasks", '{"subtasks": "one"}', 'no list "subtasks"'),
        ("subtasks", '{"subtasks": [1]}', "not a list of texts"),
        ("subtasks", "\n".join(f"{n}. do" for n in range(1, 20)), "19 sub-tasks"),
        ("check-1", "It is obvious.", "no block of Python"),
        ("check-1", "```python\n" + "x = 1\n" * 20_000 + "```", "larger than 64 KiB"),
    ],
)
def test_what_cannot_be_read_says_why(stage: str, text: str, why: str) -> None:
    with pytest.raises(Misread, match=why):
        read(stage, text)


@given(st.sampled_from(["goal", "subtasks", "check-1", "goal-check", "repair"]), st.text(max_size=400))
def test_no_text_breaks_the_reader_and_titles_are_plain(stage: str, text: str) -> None:
    try:
        found = read(stage, text)
    except Misread:
        return
    titles = [found.goal] if isinstance(found, GoalAnswer) else getattr(found, "titles", [])
    assert all(title.isprintable() and 0 < len(title) <= 300 for title in titles)


def test_objects_are_put_first_only_where_they_are_called_and_not_defined() -> None:
    objects = "def identify_key(image):\n    return None\n"
    calls = "def check(a, b):\n    return identify_key(b) is None\n"
    assert reading.joined(objects, calls).startswith(objects.strip()) and reading.joined(objects, calls).endswith(calls)
    assert reading.joined(objects, CODE) == CODE
    own = objects + calls
    assert reading.joined(objects, own) == own
