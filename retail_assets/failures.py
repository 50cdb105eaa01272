"""Errors a user can meet: one clear sentence, and whether trying again can help.

Raise `PermanentFailure` for what a person must mend, `TransientFailure` for what may pass by itself.
Programming errors stay ordinary exceptions.
"""


class RetailError(Exception):
    """An expected failure whose message is one sentence for the user, without secrets."""


class PermanentFailure(RetailError):
    """Will fail again until somebody changes a setting, a mapping or the data."""


class TransientFailure(RetailError):
    """May succeed when tried again: network, lock, commit conflict."""


def first_line(error: Exception) -> str:
    """What another library says, short enough for a sentence."""
    return next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), type(error).__name__)
