"""What models write, in all its forms, read as what was asked for."""

import json

import pytest
from hypothesis import given, settings
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
        "<Reasoning>1. No\n</Reasoning>Open the door.<think>and now",
        "Open\tthe\x07 door.\r\n\r\nBecause the key is there.",
        "Open the \ud800door.",
        "\ufeff\u200bOpen the door.",
        '{"why": {"goal": "no"}, "goal": "Open the door."}',
        "```\nnot this\n```\nOpen the door.",
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
        "* `Take the key`\n* Open\x1b the door",
        "Two of them:\r\n\r\n1. Take the key\r\n2. Open the door\r\n",
        "1. Take the key\n   - walk there\n2. Open the door\n   - turn it",
        "**1. Take the key**\n\n**2. Open the door**",
        "Sub-task 1: Take the key\nSub-task 2: Open the door",
        '{"subtasks": ["Take the key", "Open the door"], "code": ""}',
        '{"subtasks": [{"title": "Take the key"}, {"title": "Open the door"}]}',
        '{"subtasks": ["Take the key", " ", "**Open the door**"], "code": ""}',
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
        f"```json\n{json.dumps({'code': CODE})}\n```",
        f"<think>```python\nx = 1\n```</think>\n```Python\n{CODE}```",
        f"So it looks:\n```text\ndef check\n```\n```py\n{CODE}```",
        f"````python\n{CODE}````",
        '{"explanation": "raw line breaks", "code": "' + CODE + '"}',
    ],
)
def test_a_checker_is_read_in_every_form(text: str) -> None:
    found = read("check-1", text)
    assert isinstance(found, CheckAnswer) and found.code == CODE


@pytest.mark.parametrize(
    ("stage", "text", "why"),
    [
        ("goal", "", "no sentence"),
        ("goal", "<think>It is the door", "no sentence"),
        ("goal", "\0\n**__**\n---", "no sentence"),
        ("goal", '{"goal": 3}', 'no text "goal"'),
        ("subtasks", "I see a key.", "no numbered list"),
        ("subtasks", '{"subtasks": "one"}', 'no list "subtasks"'),
        ("subtasks", '{"subtasks": [1]}', "not a list of texts"),
        ("subtasks", '{"subtasks": []}', "no numbered list"),
        ("subtasks", '{"subtasks": ["one"], "code": null}', '"code" in the JSON object is not text'),
        ("subtasks", "\n".join(f"{n}. do" for n in range(1, 20)), "19 sub-tasks; at most 12"),
        ("check-1", '{"explanation": "none", "code": " "}', "no block of Python"),
        ("check-1", json.dumps({"code": "x = 1\n" * 20_000}), "larger than 64 KiB"),
        ("check-1", "It is obvious.", "no block of Python"),
        ("check-1", "```python\n" + "x = 1\n" * 20_000 + "```", "larger than 64 KiB"),
    ],
)
def test_what_cannot_be_read_says_why(stage: str, text: str, why: str) -> None:
    with pytest.raises(Misread, match=why):
        read(stage, text)


def test_as_many_sub_tasks_as_are_taken() -> None:
    found = read("subtasks", "\n".join(f"{number}. step {number}" for number in range(1, 13)))
    assert isinstance(found, SubTasksAnswer) and len(found.titles) == reading.SUBTASKS_MAX


def test_what_is_too_long_is_cut_and_says_so() -> None:
    goal, steps = read("goal", "long " * 1000), read("subtasks", "1. " + "long " * 1000)
    assert isinstance(goal, GoalAnswer) and len(goal.goal) <= 300 and goal.goal.endswith("…")
    assert isinstance(steps, SubTasksAnswer) and len(steps.titles[0]) <= 200 and steps.titles[0].endswith("…")


@pytest.mark.parametrize("code", ['x = {"goal": "no", "code": "no"}\n' + CODE, 'x = {"a": {}}\n' + CODE + "# }\n"])
def test_braces_in_code_are_no_answer_by_schema(code: str) -> None:
    for text in (f"Because.\n```python\n{code}```", json.dumps({"explanation": "{", "code": code})):
        found = read("check-1", text)
        assert isinstance(found, CheckAnswer) and found.code == code


def test_what_is_said_beside_the_code_is_the_explanation() -> None:
    for text in (f"It is **open**.\n```python\n{CODE}```", json.dumps({"explanation": "It is open.", "code": CODE})):
        assert read("check-1", text) == CheckAnswer(CODE, "It is open.")


STAGES = st.sampled_from(["goal", "subtasks", "check-1", "goal-check", "repair"])
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=400)
MARKS = '``` ```python\n ~~~ ```json\n <think> </think> 1. 2) - ** # { } " {"goal":" "subtasks":[ ] "code":" import \\ \0 \ud83d'
PARTS = st.sampled_from([*MARKS.split(" "), " ", "\n", "\r\n", "def check(a, b):\n"])


@given(STAGES, ANY_TEXT | st.lists(PARTS | st.text(max_size=5), max_size=40).map("".join))
def test_no_text_breaks_the_reader_and_titles_are_plain(stage: str, text: str) -> None:
    try:
        found = read(stage, text)
    except Misread as error:
        assert str(error)
        return
    if isinstance(found, CheckAnswer):
        assert found.code.strip() and found.code.endswith("\n") and len(found.explanation) <= 600
        return
    titles = [found.goal] if isinstance(found, GoalAnswer) else found.titles
    limit = 300 if isinstance(found, GoalAnswer) else reading.TITLE_MAX_CHARS
    assert titles and all(title.isprintable() and 0 < len(title) <= limit for title in titles)


@given(ANY_TEXT)
def test_a_cleaned_line_is_one_printable_line(text: str) -> None:
    assert reading.clean(text).isprintable() and len(reading.clean(text, 50)) <= 50


@given(STAGES, st.sampled_from(["[", '{"goal":', "```\n", "<think>", "- ", " \n", "\t", "**", "1."]))
@settings(max_examples=40, deadline=1000)
def test_a_model_that_repeats_itself_does_not_hold_the_reader_up(stage: str, piece: str) -> None:
    try:
        found = read(stage, piece * 40_000)
    except Misread as error:
        assert 0 < len(str(error)) < 1000
    else:
        assert len(repr(found)) < 10_000


def test_objects_are_put_first_only_where_they_are_called_and_not_defined() -> None:
    objects = "def identify_key(image):\n    return None\n"
    calls = "def check(a, b):\n    return identify_key(b) is None\n"
    assert reading.joined(objects, calls).startswith(objects.strip()) and reading.joined(objects, calls).endswith(calls)
    assert reading.joined(objects, CODE) == CODE
    own = objects + calls
    assert reading.joined(objects, own) == own
    assert reading.joined(objects, "def check(a, b):\n    return identify_door(b)\n").startswith("def check")
    assert reading.joined("", calls) == calls
    helped = "import numpy as np\nLEAST = 3\n\n\ndef parts(image):\n    return image\n"
    for line in ("return parts(b)", "return b.sum() > LEAST", "return np.any(b)"):
        assert reading.joined(helped, f"def check(a, b):\n    {line}\n").startswith(helped.strip())
    for own in ("import numpy as np\n", "import numpy as np, cv2\n", "from numpy import any as np\n"):
        assert reading.joined(helped, f"{own}def check(a, b):\n    return np.any(b)\n").startswith(own)
    assert reading.joined(reading.joined(objects, calls), calls).count("def identify_key") == 1
