"""The laboratory: what is known of an episode, what is made from it, and which wrong checkers it finds."""

import dataclasses
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ALWAYS, NEVER, RED_AT_LEAST, picture, proposal, trajectory
from tests.studio_sessions import recorded as recorded_session
from vlmcar_core import archives, examinations, laboratory, recordings
from vlmcar_core.errors import DamagedFile, UnknownName
from vlmcar_core.examinations import Examination, Examined, Row
from vlmcar_core.lab import coverage, evidence, examine, mutation, occlusion, operators, people, truth
from vlmcar_core.lab.evidence import Witness
from vlmcar_core.lab.truth import Episode, Expected
from vlmcar_core.marks import Mark
from vlmcar_core.sandbox import CheckerProcess
from vlmcar_core.types import GOAL, Answers, Checker, Count, Outcome, Seen, SubTask, Trajectory
from vlmcar_core.verify import ask

SOUND = RED_AT_LEAST.format(pixels=4)
EXPERT = [0, 2, 3, 4, 6, 9]


def said(source: str, episode: Trajectory) -> Answers:
    checker = Checker("it", source)
    with CheckerProcess([checker]) as process:
        return ask(process, checker, episode)


def witness(source: str, episode: Trajectory, known: Expected, id: str = "episode") -> Witness:
    return Witness("it", Episode.of(id, episode), episode.source, said(source, episode), known)


def examined(
    source: str,
    trajectories: dict[str, Trajectory],
    mutants: bool = False,
    facts: Mapping[str, str | None] | None = None,
) -> Examined:
    asked = dataclasses.replace(proposal(("it", source), goal=NEVER), number=0)
    answers = {
        id: {step.key: said(step.checker.source, episode) for step in asked.steps}
        for id, episode in trajectories.items()
    }
    return examine.examine(asked, examine.Material(trajectories, answers, facts=facts or {}), mutants).checkers[0]


RECORDED = {
    "expert-000": trajectory(EXPERT),
    "expert-001": trajectory([0, 1, 5], seed=1),
    "random-000": trajectory([0, 1, 2, 3], source="random", success=False),
    "random-001": trajectory([0, 0, 4, 0], source="random", success=False, seed=1),
}


# What is known


def test_a_checker_is_compared_with_the_fact_that_comes_true_where_it_first_fires() -> None:
    steps = [SubTask("see it", Checker("it", SOUND)), SubTask("never", Checker("other", NEVER))]
    experts = []
    for episode in (trajectory(EXPERT), trajectory([0, 5])):
        facts = {
            **episode.facts,
            "late": np.zeros(len(episode.frames), np.bool_),
            "from the start": ~episode.facts["red"] | True,
        }
        found = Episode("e", "expert", True, facts)
        experts.append((found, {step.key: said(step.checker.source, episode) for step in steps}))
    found = truth.anchors(steps, experts)
    assert {key: (anchor.fact, anchor.origin) for key, anchor in found.items()} == {
        "it": ("red", "fires"),
        "other": (None, "none"),
    }
    assert {anchor.fact for anchor in truth.anchors(steps, []).values()} == {None}


def test_what_must_be_said_is_known_by_the_fact() -> None:
    episode = Episode.of("e", trajectory(EXPERT))
    assert truth.expected("it", episode, "red") == Expected(True, 2, "“red” from frame 3 on")
    never = Episode.of("e", trajectory([0, 1], source="random", success=False))
    assert truth.expected("it", never, "red").fires is False
    started = Episode.of("e", trajectory([9, 9], source="random", success=False))
    assert truth.expected("it", started, "red").fires is None


def test_without_a_fact_only_what_the_environment_says_is_known() -> None:
    expert, random = trajectory(EXPERT), trajectory([0, 1], source="random", success=False)
    assert truth.expected("it", Episode.of("e", expert), None).fires is True
    assert truth.expected("it", Episode.of("e", random), None).fires is None
    assert truth.expected(GOAL, Episode.of("e", random), None).fires is False


@pytest.mark.parametrize(
    ("source", "kind", "frame"),
    [
        (ALWAYS, "false alarm", 0),
        (RED_AT_LEAST.format(pixels=2), "false alarm", 1),
        (NEVER, "missed", 5),
        (SOUND, None, 0),
    ],
)
def test_a_contradiction_is_told_with_its_first_frame(source: str, kind: str | None, frame: int) -> None:
    found = evidence.contradiction(witness(source, trajectory(EXPERT), Expected(True, 2, "why")))
    assert (found.kind, found.frame) == (kind, frame) if found else kind is None


def test_a_fault_contradicts_and_what_is_unknown_does_not() -> None:
    fails = "def check(initial, current):\n    return 1 // int(current.any())\n"
    assert evidence.contradiction(witness(fails, trajectory(EXPERT), Expected(True, 2))).kind == "fault"  # type: ignore[union-attr]
    assert evidence.contradiction(witness(ALWAYS, trajectory(EXPERT), truth.UNKNOWN)) is None


def test_rows_count_both_sides_by_source() -> None:
    witnesses = [
        witness(SOUND, trajectory(EXPERT), Expected(True, 2)),
        witness(NEVER, trajectory(EXPERT), Expected(True, 2)),
        witness(SOUND, trajectory([0, 1], source="random"), Expected(False, 0)),
        witness(SOUND, trajectory([0, 1], source="random"), truth.UNKNOWN),
    ]
    expert, random = evidence.rows(witnesses)
    assert (expert.source, expert.should, expert.must_not, expert.unknown) == ("expert", Count(1, 2), Count(0, 0), 0)
    assert (random.source, random.should, random.must_not, random.unknown) == ("random", Count(0, 0), Count(1, 1), 1)
    assert evidence.lacking("x", [expert]) == ["an episode in which “x” is not done though it nearly is: a near miss"]


# What is made


def test_what_is_made_keeps_the_facts_of_the_frames_that_are_shown() -> None:
    episode = trajectory(EXPERT)
    made = {
        item.operator: item.trajectory
        for item in operators.negatives(episode, trajectory([0, 1, 2, 1], source="random"))
    }
    assert {"freeze", "backwards", "stopped before the last step", "middle cut out", "last frame spliced in"} < set(
        made
    )
    for name, found in made.items():
        red = (found.frames[..., 0] > 200).sum(axis=(1, 2))
        assert np.array_equal(found.facts["red"], red >= 4), name
        assert found.success in (None, False)
    assert not made["freeze"].facts["red"].any() and len(made["freeze"].frames) > 10
    assert made["stopped before the last step"].success is False
    assert made["undone after “red”"].facts["red"].tolist() == [False, False, False, True, True, False, False, False]
    assert made["last frame spliced in"].facts["red"].tolist() == [False, False, True, False, False]


def test_a_random_walk_of_another_layout_is_not_spliced() -> None:
    other = trajectory([1, 1], source="random")
    assert "last frame spliced in" not in {item.operator for item in operators.negatives(trajectory(EXPERT), other)}


def test_small_changes_change_the_picture_and_nothing_else() -> None:
    episode = trajectory(EXPERT)
    changed = {item.operator: item for item in operators.changes(episode)}
    assert set(changed) == set(operators.CHANGES)
    for name, item in changed.items():
        assert not item.judged
        assert item.trajectory.frames.dtype == np.uint8
        assert item.trajectory.facts is episode.facts
        assert (
            name.endswith("contrast")
            or "hue" in name
            or "size" in name
            or not np.array_equal(item.trajectory.frames, episode.frames)
            or "brighter" in name
        )
    assert changed["twice the size"].trajectory.frames.shape == (6, 32, 32, 3)
    assert changed["half the size"].trajectory.frames.shape == (6, 8, 8, 3)
    assert changed["5 % darker"].trajectory.frames.max() == 242


# What is found


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (RED_AT_LEAST.format(pixels=2), "false alarm in expert-000, frame 1"),
        (RED_AT_LEAST.format(pixels=8), "missed in expert-001, frame 2"),
        (ALWAYS, "false alarm in expert-000, frame 0"),
        (NEVER, "missed in expert-000, frame 5"),
        ("def check(initial, current):\n    return 1 // 0\n", "fault in expert-000, frame 0"),
    ],
    ids=["threshold too low", "threshold too high", "always", "never", "broken"],
)
def test_a_wrong_checker_is_rejected_with_the_first_place(source: str, reason: str) -> None:
    judged = examinations.judge(examined(source, RECORDED, facts={"it": "red"}))
    assert judged.judgement == "rejected"
    assert judged.reason.startswith(reason), judged.reason


def test_where_no_fact_fits_none_is_made_up_and_the_nearest_is_named() -> None:
    found = examined(RED_AT_LEAST.format(pixels=2), RECORDED)
    assert found.fact is None
    assert examinations.judge(found).judgement == "undecided"
    assert any("“red” comes true up to 2 frames away" in lint for lint in found.lints)
    assert not any("frames away" in lint for lint in examined(SOUND, RECORDED).lints)


def test_a_right_one_is_accepted_with_both_sides_counted() -> None:
    found = examined(SOUND, RECORDED, facts={"it": "red"})
    assert found.fact == "red"
    assert found.cases == ()
    rows = {row.source: row for row in found.rows}
    assert rows["expert"].should == Count(2, 2)
    assert (rows["random"].should, rows["random"].must_not) == (Count(1, 1), Count(1, 1))
    assert rows["made"].should.total >= 3 and rows["made"].must_not.total >= 1
    assert found.offsets == (0, 0, 0)
    assert found.flicker == Count(1, 3)
    assert examinations.judge(found).judgement == "accepted"


def test_what_to_record_is_told_where_one_side_is_unknown() -> None:
    experts = {id: found for id, found in RECORDED.items() if id.startswith("expert")}
    blind = {id: Trajectory(**{**vars(found), "facts": {}}) for id, found in experts.items()}
    judged = examinations.judge(examined(SOUND, blind))
    assert judged.judgement == "undecided"
    assert "record an episode in which “it” is not done though it nearly is: a near miss" in judged.reason


def test_wrong_versions_are_told_by_the_evidence_or_named() -> None:
    found = examined(SOUND, RECORDED, mutants=True).mutation
    assert found is not None
    whats = {mutant.what for mutant in mutation.mutants(SOUND)}
    survivors = {survivor.what for survivor in found.survivors}
    assert {"the comparison turned into “<”", "4 becomes 2", "4 becomes 6"} <= whats - survivors
    assert "200 becomes 220" in survivors  # there is no red between the two in any picture
    assert found.killed == Count(len(whats) - len(survivors), len(mutation.mutants(SOUND)))


def test_the_versions_are_what_they_say(tmp_path: Path) -> None:
    source = '''
LOW = (20, 100, 100)
UNUSED = 77


def unused(image):
    return image[5:50] > 3


def helper(image):
    """ä"""
    return ((image >= LOW) & (image[..., 0] < 250)).sum()


def check(initial, current):
    return not helper(current) > 0.5 * helper(initial) and current.mean(axis=2).any()
'''
    found = {mutant.what: mutant for mutant in mutation.mutants(source)}
    assert "the colour (20, 100, 100) becomes (100, 100, 20)" in found
    assert "index 0 becomes 1" in found and "image[..., 1] < 250" in found["index 0 becomes 1"].source
    assert "helper(current) > 0.5 * helper(current)" in next(
        mutant.source for what, mutant in found.items() if what.startswith("the first frame ignored")
    )
    assert "“not” dropped" in found and "return helper(current) > 0.5" in found["“not” dropped"].source
    assert any(what.startswith("the condition “current.mean(axis=2).any()” dropped") for what in found)
    assert not any("77" in what or what.startswith("5 becomes") for what in found)  # nothing of what check does not use
    for what, mutant in found.items():
        compile(mutant.source, what, "exec")
        assert mutant.source != source


def test_nothing_is_made_of_what_cannot_be_parsed() -> None:
    assert mutation.mutants("def check(:\n") == []
    assert coverage.coverage(Checker("it", "def check(:\n"), []) is None


def test_branches_that_no_frame_takes_are_named() -> None:
    source = """
def check(initial, current):
    if current.any():
        if int(current.max()) > 300:
            return False
        return True
    print("[99]")
    return False
"""
    frames = [(picture(), picture()), (picture(), picture(3))]
    found = coverage.coverage(Checker("it", source), frames)
    assert found is not None
    assert found.taken == Count(4, 5)
    assert [(branch.line, branch.what) for branch in found.missed] == [(5, "“int(current.max()) > 300” is true")]


GONE = """
def identify_red(image):
    return image[..., 0] > 200


def identify_all(image):
    return image[..., 0] >= 0


def identify_nothing(image):
    return None


def check(initial, current):
    return not identify_red(current).any()
"""


def test_what_is_only_covered_has_not_vanished() -> None:
    with CheckerProcess([Checker("it", GONE), Checker("sound", SOUND)]) as process:
        found = occlusion.occluded(process, Checker("it", GONE), "expert-000", picture(5))
        assert [(case.episode, case.kind) for case in found] == [("expert-000 with red covered", "changed")]
        assert occlusion.occluded(process, Checker("sound", SOUND), "expert-000", picture(3)) == []


def test_where_a_thing_is() -> None:
    mask = np.zeros((10, 20), np.bool_)
    mask[3:5, 7] = True
    assert occlusion.place(Seen("a", "mask", mask=mask), 10, 20) == (2, 6, 6, 9)
    assert occlusion.place(Seen("a", "box", box=(18.0, 0.0, 5.0, 2.0)), 10, 20) == (0, 3, 17, 20)
    assert occlusion.place(Seen("a", "box", box=(0.0, 0.0, 20.0, 10.0)), 10, 20) is None
    assert occlusion.place(Seen("a", "nothing"), 10, 20) is None
    changed = occlusion.covered(picture(3), (0, 1, 0, 2))
    assert (changed[..., 0] > 200).sum() == 1


def test_lints() -> None:
    found = examined(ALWAYS, RECORDED)
    assert "every recorded frame is called done" in found.lints
    assert any("never looks at the initial frame" in lint for lint in found.lints)
    assert "no recorded frame is called done" in examined(NEVER, RECORDED).lints
    assert any("depends on the size of the picture" in lint for lint in examined(SOUND, RECORDED).lints)


def test_return_and_success_are_compared() -> None:
    asked = dataclasses.replace(proposal(("it", SOUND)), number=0)
    answers = {
        id: {step.key: said(step.checker.source, found) for step in asked.steps} for id, found in RECORDED.items()
    }
    assert examine.alignment(asked, examine.Material(RECORDED, answers)) == pytest.approx(0.5774, abs=1e-4)
    experts = {id: found for id, found in RECORDED.items() if found.success}
    assert examine.alignment(asked, examine.Material(experts, answers)) is None


def test_an_examination_is_kept_in_the_session_and_read_back(tmp_path: Path) -> None:
    session = recorded_session(tmp_path)
    messages: list[str] = []
    found = laboratory.examine(session, progress=lambda done, total, message: messages.append(message))
    assert isinstance(found, Examination)
    assert session.examination(0) == found
    assert session.examination(1) is None
    assert {checker.key: examinations.judge(checker).judgement for checker in found.checkers} == {
        "see-red": "accepted",
        "fails": "rejected",
        "silent": "rejected",
        "goal": "accepted",
    }
    assert any("wrong versions" in message for message in messages)


def test_a_fact_that_a_person_names_is_kept_for_the_next_time(tmp_path: Path) -> None:
    session = recorded_session(tmp_path)
    found = laboratory.examine(session, mutants=False, facts={"silent": "red"})
    named = {checker.key: (checker.fact, checker.named) for checker in found.checkers}
    assert named["silent"] == ("red", True)
    assert named["see-red"] == ("red", False)
    again = laboratory.examine(session, mutants=False)
    assert {checker.key: (checker.fact, checker.named) for checker in again.checkers} == named
    with pytest.raises(UnknownName, match="red"):
        laboratory.examine(session, facts={"silent": "blue"})
    with pytest.raises(UnknownName, match="see-red"):
        laboratory.examine(session, facts={"missing": "red"})


def test_what_people_marked_is_evidence_with_author_and_reason() -> None:
    """The newest mark about a frame holds, and a mark that is wholly overtaken counts no more."""
    answers = {"t": Answers(np.array([0.0, 0.0, 1.0, 1.0, np.nan]), {4: Outcome("error", None, "it broke", 1)})}

    def mark(first: int, last: int, done: bool, key: str = "step", trajectory: str = "t") -> Mark:
        return Mark(trajectory, first, last, key, done, "Ada", "seen")

    right = [mark(0, 1, False), mark(2, 3, True), mark(0, 4, True, key="other"), mark(0, 0, True, trajectory="gone")]
    assert people.judged("step", right, answers) == ([Row("step", "human", Count(1, 1), Count(1, 1), 0)], [])
    overtaken = [mark(2, 3, False), mark(2, 3, True)]
    assert people.judged("step", overtaken, answers)[0] == [Row("step", "human", Count(1, 1), Count(0, 0), 0)]
    wrong = [mark(0, 3, True), mark(3, 3, False), mark(4, 4, True)]
    rows, cases = people.judged("step", wrong, answers)
    assert rows == [Row("step", "human", Count(0, 2), Count(0, 1), 0)]
    assert [(case.frame, case.kind) for case in cases] == [(0, "missed"), (3, "false alarm"), (4, "fault")]
    assert cases[0].reason == "Ada marked it done here: seen"
    assert people.judged("step", [], answers) == ([], [])


def test_a_mark_against_a_checker_rejects_it(tmp_path: Path) -> None:
    session = recorded_session(tmp_path)
    before = laboratory.examine(session, mutants=False).checkers[0]
    assert not before.cases, "else the mark would prove nothing"
    expert = next(info.id for info in session.trajectories().items if info.source == "expert")
    session.add_mark(Mark(expert, 0, 0, before.key, True, "Ada", "the door stands open"))
    found = laboratory.examine(session, mutants=False).checkers[0]
    assert examinations.judge(found).judgement == "rejected"
    assert "Ada marked it done here: the door stands open" in examinations.judge(found).reason
    assert [row.source for row in found.rows if row.source == "human"] == ["human"]


def test_what_is_known_of_each_frame() -> None:
    assert truth.by_frame(Expected(False, 0), 3) == [False] * 3
    assert truth.by_frame(Expected(True, 2), 4) == [False, False, None, None]
    assert truth.by_frame(Expected(True, 9), 2) == [False, False]
    assert truth.by_frame(truth.UNKNOWN, 2) == [None, None]


def test_facts_are_read_without_the_frames(tmp_path: Path) -> None:
    session = recorded_session(tmp_path)
    info = session.trajectories().items[0]
    path = session.trajectory_path(info.id)
    facts = recordings.read_facts(path)
    whole = session.trajectory(info.id).facts
    assert facts
    assert {name: told.tolist() for name, told in facts.items()} == {
        name: told.tolist() for name, told in whole.items()
    }


def test_facts_of_a_damaged_file_are_refused(tmp_path: Path) -> None:
    session = recorded_session(tmp_path)
    path = session.trajectory_path(session.trajectories().items[0].id)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    damaged = tmp_path / path.name
    with zipfile.ZipFile(damaged, "w") as archive:
        for name, data in parts.items():
            odd = archives.packed({"fact:odd": np.zeros(2, np.bool_)})
            archive.writestr(name, odd if name == recordings.STEPS else data)
    with pytest.raises(DamagedFile, match="its facts are not told of"):
        recordings.read_facts(damaged)


def test_what_people_marked_tells_wrong_versions() -> None:
    """Nothing else is known of the episode; the marks are about each frame."""
    source = RED_AT_LEAST.format(pixels=9)
    episode = trajectory([0, 8, 9, 30], "random", None)
    with CheckerProcess([Checker("see-red", source)]) as process:
        answers = ask(process, Checker("see-red", source), episode)
    witness = Witness("see-red", Episode.of("random-000", episode), "random", answers, truth.UNKNOWN)

    def killed(*marked: Mark) -> int:
        agreed = people.agreed("see-red", marked, {"random-000": answers})
        checker = Checker("see-red", source)
        return mutation.score(
            checker, [witness], lambda _id: recordings.distinct_frames(episode.frames), marks=agreed
        ).killed.hits

    def mark(frame: int, done: bool) -> Mark:
        return Mark("random-000", frame, frame, "see-red", done, "Ada", "seen")

    assert killed() == 0
    some = killed(mark(1, False))
    assert 0 < some < killed(mark(1, False), mark(2, True))
    assert killed(mark(1, True)) == 0  # the original says otherwise, so nothing is judged by it
