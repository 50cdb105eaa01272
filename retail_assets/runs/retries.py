"""What Dagster does by itself after a run failed, and what that leaves to a person: the last line of an alert."""

import dagster as dg

RETRY_TAG = "dagster/retry_number"
WILL_RETRY_TAG = "dagster/will_retry"

MEND = "Open the run in the Dagster UI, mend the cause, and re-execute from failure."
TRIED_AGAIN = "Nothing yet: Dagster tries the run again by itself, and another alert follows if it gives up."
MAKE_UP = "Nothing makes the run up by itself: open it in the Dagster UI and press Re-execute."


def will_be_tried_again(run: dg.DagsterRun) -> bool:
    """Whether the daemon starts a failed run once more; a run of a command has no code location to start it in."""
    return run.tags.get(WILL_RETRY_TAG) == "true" and run.remote_job_origin is not None


def outcome(run: dg.DagsterRun) -> str:
    """A failed run in words, with what follows or how often it was tried."""
    if will_be_tried_again(run):
        return "failed, and is tried again"
    return f"failed {int(run.tags[RETRY_TAG]) + 1} times" if RETRY_TAG in run.tags else "failed"
