"""What the checkers must answer about decisive recorded frames, and what recorded episodes are paid.

python -m unittest discover tests
"""

import hashlib
import json
import sys
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from recorded import Recorded, frame, told  # noqa: E402
from reward import GOAL, PAYMENTS, STEPS, Reward, compute_reward, succeeded, value  # noqa: E402
from wrapper import CheckerReward  # noqa: E402

TOLERANCE = 1e-6


class TestReward(unittest.TestCase):
    """Everything that this bundle claims about itself."""

    def test_the_code_is_what_was_verified(self) -> None:
        manifest = json.loads((ROOT / "manifest.json").read_text(encoding="utf-8"))
        for checker in manifest["checkers"]:
            found = hashlib.sha256((ROOT / checker["file"]).read_bytes()).hexdigest()
            self.assertEqual(found, checker["sha256"], checker["file"])

    def test_decisive_frames_are_answered_as_they_were(self) -> None:
        steps = {step.key: step for step in (*STEPS, GOAL)}
        for case in told()["cases"]:
            with self.subTest(**case):
                answer = value(steps[case["checker"]], frame(case["initial"]), frame(case["frame"]))
                self.assertAlmostEqual(answer, case["value"], delta=TOLERANCE)

    def test_recorded_episodes_are_paid_what_they_were(self) -> None:
        for episode in told()["episodes"]:
            pictures = [frame(name) for name in episode["frames"]]
            frames = [pictures[number] for number in episode["order"]]
            for name, expected in episode["paid"].items():
                with self.subTest(episode=episode["name"], payment=name):
                    totals, components = compute_reward(frames, name, episode["solved"])
                    self.agree(components, expected)
                    self.assertAlmostEqual(float(totals.sum()), sum(row["amount"] for row in expected), delta=1e-5)

    def test_the_wrapper_pays_the_same_and_keeps_the_environments_reward(self) -> None:
        for episode in told()["episodes"]:
            for name in PAYMENTS:
                if Reward(name).asks_success and succeeded is None:
                    continue
                with self.subTest(episode=episode["name"], payment=name):
                    env = CheckerReward(Recorded(episode), Reward(name), succeeded=succeeded)
                    env.reset()
                    found = []
                    for number, env_reward in enumerate(episode["env_rewards"], 1):
                        _, reward, _, _, info = env.step(0)
                        paid = info["vlmcar"]["components"]
                        self.assertAlmostEqual(reward, env_reward + sum(paid.values()), delta=TOLERANCE)
                        found += [{"step": number, "key": key, "amount": amount} for key, amount in paid.items()]
                    self.same_rows(found, episode["paid"][name])

    def agree(self, components: Mapping[str, Any], expected: list[dict[str, Any]]) -> None:
        rows = [
            {"step": number, "key": key, "amount": float(amount)}
            for key, amounts in components.items()
            for number, amount in enumerate(amounts, 1)
            if amount
        ]
        self.same_rows(rows, expected)

    def same_rows(self, found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
        def keyed(rows: list[dict[str, Any]]) -> dict[tuple[int, str], float]:
            return {(row["step"], row["key"]): row["amount"] for row in rows}

        one, other = keyed(found), keyed(expected)
        self.assertEqual(sorted(one), sorted(other))
        for key, amount in one.items():
            self.assertAlmostEqual(amount, other[key], delta=TOLERANCE)


if __name__ == "__main__":
    unittest.main()
