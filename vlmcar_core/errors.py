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
    ├── CheckerDisabled         a checker had to be ended too often, and the run was asked to stop then
    ├── VlmError                a model, or the server it runs on, did not answer as it should (see below)
    ├── BudgetSpent             what may be spent is spent; what was answered is kept
    └── Cancelled               a person stopped a background job

    VlmError                    `retry` says whether asking the same again may help
    ├── Unreachable             no server answers at this address                                   retry
    ├── Overloaded              the server is busy or failed (5xx)                                  retry
    ├── RateLimited             too many requests (429); `wait_seconds` is the server's wish        retry
    ├── TimedOut                nothing came for too long, at the start or in mid-answer            retry
    ├── ConnectionLost          the answer broke off in the middle                                  retry
    ├── EmptyAnswer             an answer without a word, or without a choice                       retry
    ├── WrongKey                the key is missing, wrong, or may not do this (401, 403)
    ├── QuotaSpent              the account has no credit left (402, or 429 that says so)
    ├── UnknownModel            the server does not have this model (404)
    ├── NoVision                the model, or the server, does not take these pictures
    ├── ContextTooLong          the conversation is longer than the model can read
    ├── RefusedToAnswer         the model or a filter declined
    ├── BadRequest              the server does not accept a setting of the request (400, 422)
    ├── NotUnderstood           what came back is not the chat-completions protocol
    ├── NoRecording             a replay has no recorded answer to this question
    └── Unreadable              the answers came, and could not be read as what was asked for

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


class CheckerDisabled(VlmcarError):
    """A checker had to be ended too often, and the run was asked to stop then."""


class VlmError(VlmcarError):
    """A model, or the server it runs on, did not answer as it should."""

    retry = False
    """Whether asking the same again may help."""

    wait_seconds: float | None = None
    """How long the server wants us to wait before that; None where it did not say."""

    partial = ""
    """What had been answered until then."""


class Unreachable(VlmError):
    """No server answers at this address."""

    retry = True


class Overloaded(VlmError):
    """The server is busy or failed."""

    retry = True


class RateLimited(VlmError):
    """Too many requests."""

    retry = True


class TimedOut(VlmError):
    """Nothing came for too long, at the start or in mid-answer."""

    retry = True


class ConnectionLost(VlmError):
    """The answer broke off in the middle."""

    retry = True


class EmptyAnswer(VlmError):
    """An answer without a word, or without a choice."""

    retry = True


class WrongKey(VlmError):
    """The key is missing, wrong, or may not do this."""


class QuotaSpent(VlmError):
    """The account has no credit left."""


class UnknownModel(VlmError):
    """The server does not have this model."""


class NoVision(VlmError):
    """The model, or the server, does not take these pictures."""


class ContextTooLong(VlmError):
    """The conversation is longer than the model can read."""


class RefusedToAnswer(VlmError):
    """The model or a filter declined."""


class BadRequest(VlmError):
    """The server does not accept a setting of the request."""


class NotUnderstood(VlmError):
    """What came back is not the chat-completions protocol."""


class NoRecording(VlmError):
    """A replay has no recorded answer to this question."""


class Unreadable(VlmError):
    """The answers came, and could not be read as what was asked for."""


class BudgetSpent(VlmcarError):
    """What may be spent is spent; what was answered is kept."""


class Cancelled(VlmcarError):
    """A person stopped a background job."""
