"""Everything that can go wrong, as one tree.

    VlmcarError                 our machinery or the request is at fault; shown to the person as it is
    ├── BadInput                what the person gave cannot be used (a name, a number, a file)
    │   ├── UnknownName         no such session, environment, trainer, proposal, ...
    │   └── BadImage            an uploaded image that cannot or may not be decoded
    ├── DamagedFile             a file of a session cannot be read; the rest stays usable
    ├── ChangedElsewhere        another tab or process wrote first; nothing was overwritten
    ├── NoExpert                the planner does not solve this environment, and says why
    ├── NothingToPropose        the two frames do not tell what the task is
    ├── SandboxError            the contained process could not be started or spoken to
    └── Cancelled               a person stopped a background job

What a *checker* does wrong (a traceback, a wrong answer, too much time) is never an exception here:
it is data, an `Outcome`, because it belongs in the verdict and in the next proposal.
"""

from collections.abc import Iterable


class VlmcarError(Exception):
    """What happened, the offending value, and what to do, in one message."""


class BadInput(VlmcarError, ValueError):
    """What the person gave cannot be used."""


class UnknownName(BadInput):
    """A name that nothing answers to."""

    @classmethod
    def among(cls, kind: str, name: object, known: Iterable[object]) -> "UnknownName":
        """Name the kind, the offending value, and up to twelve names that would have worked."""
        names = [str(item) for item in known]
        listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        return cls(f"no {kind} {str(name)!r}; " + (f"there are: {listed}" if names else "there are none yet"))


class BadImage(BadInput):
    """An uploaded image that cannot or may not be decoded."""


class DamagedFile(VlmcarError):
    """A file of a session cannot be read; the rest stays usable."""


class ChangedElsewhere(VlmcarError):
    """Another tab or process wrote first; nothing was overwritten."""


class NoExpert(VlmcarError):
    """The planner does not solve this environment, and says why."""


class NothingToPropose(VlmcarError):
    """The two frames do not tell what the task is."""


class SandboxError(VlmcarError):
    """The contained process could not be started or spoken to."""


class Cancelled(VlmcarError):
    """A person stopped a background job."""
