"""Any chat page: the app shows what to paste there, and a person pastes the answer back. No server, no key."""

from vlmcar_core.dialogue import Question

TITLE = "Clipboard: any chat page"
BY_HAND = True
SIGNED = "pasted from a chat page"
"""How a proposal is signed where the person does not say which model answered."""


def text(question: Question) -> str:
    """What to paste: the first question with everything that comes before it, later ones alone, because a chat page
    remembers the rest."""
    if len(question.messages) == 2:
        return f"{question.messages[0].text.strip()}\n\n---\n\n{question.asked.text}"
    return question.asked.text


def pictures(question: Question) -> dict[str, bytes]:
    """The pictures to paste with it, name to PNG."""
    return {name: question.pictures[name] for name in question.asked.pictures}
