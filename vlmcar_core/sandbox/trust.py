"""Whether checkers may run unsealed: only where the person says so, for this process, in so many words."""

import os

VARIABLE, WORD = "VLMCAR_TRUST_CHECKERS", "yes"


def trusted() -> bool:
    """The person said that the checkers' code is to be trusted, where this machine cannot seal it in."""
    return os.environ.get(VARIABLE) == WORD


def refusal(why: str) -> str:
    """What to say where a worker could not be sealed."""
    return (
        f"checkers do not run here, because nothing would contain them: {why}. On Linux install libseccomp "
        f"(Debian, Ubuntu: apt install libseccomp2) and see vlmcar doctor; elsewhere use Linux or WSL2. If you have "
        f"read the code and trust it with everything that you may do, set {VARIABLE}={WORD}"
    )
