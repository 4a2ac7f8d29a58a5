"""What `import vlmcar_core` hands out, and that asking for nothing costs nothing."""

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import minigrid  # noqa: F401 (registers its ids)
import pytest

import vlmcar_core as vlmcar
from tests.studio_sessions import framed, verified
from vlmcar_core import reward

EXAMPLES = Path(__file__).parent.parent / "sessions"


def test_everything_that_is_named_is_there_and_documented() -> None:
    for name in vlmcar.__all__:
        found = getattr(vlmcar, name)
        assert found.__doc__, name
        assert name in (vlmcar.__doc__ or "") or name in ("Judge", "BadInput"), name
    assert vlmcar.CheckerReward is reward.CheckerReward and set(vlmcar.__all__) <= set(dir(vlmcar))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        vlmcar.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys; import vlmcar_core; print(sorted(n for n in sys.modules if n.partition('.')[0] in "
    code += "('vlmcar_core', 'numpy', 'gymnasium', 'torch', 'streamlit', 'scipy', 'cv2')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['vlmcar_core']"


def test_any_environment_that_draws_such_frames_is_paid_by_a_sessions_checkers() -> None:
    session = vlmcar.open_session("example-doorkey-6x6", EXAMPLES)
    expert = session.trajectory("expert-000")
    stock = gym.make("MiniGrid-DoorKey-6x6-v0", render_mode="rgb_array")
    for env in (vlmcar.with_reward(session, stock), vlmcar.with_reward(session, env_reward=False)):
        env.reset(seed=expert.seed)
        paid = [env.step(int(action))[4]["vlmcar"]["reward"] for action in expert.actions]
        assert sum(paid) == pytest.approx(1.0) and sum(amount > 0 for amount in paid) == 3
        env.close()


def test_a_payment_and_another_scene_may_be_given() -> None:
    session = vlmcar.open_session("example-doorkey-6x6", EXAMPLES)
    black = session.trajectory("expert-000").frames[0] * 0
    payment = vlmcar.Payment("potential")
    with vlmcar.with_reward(session, payment=payment, scene=lambda env: black) as env:
        env.reset(seed=0)
        assert env.step(0)[4]["vlmcar"]["completed"] == 0


def test_a_session_of_frames_pays_in_an_environment_that_is_given(tmp_path: Path) -> None:
    session = verified(tmp_path)
    last = session.trajectory("expert-000").frames[-1]
    shown = iter([session.trajectory("expert-000").frames[0], last])
    env = vlmcar.with_reward(session, gym.make("CartPole-v1"), scene=lambda env: next(shown))
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="'fails' failed"):
        assert env.step(0)[4]["vlmcar"]["now"] == ["see-red"]
    env.close()
    with pytest.raises(vlmcar.BadInput, match="two frames and no environment"):
        vlmcar.with_reward(framed(tmp_path, "bare"))
