"""What PostgreSQL alone needs through ODBC: sessions that share one moment, so that two of them read one range."""

import logging
from typing import Any

_LOG = logging.getLogger(__name__)

OPTIONS = {
    "UseDeclareFetch": "1",  # without a cursor the driver holds the whole result in memory
    "Fetch": "10000",
    "MaxVarcharSize": "4096",  # of varchar without a length, which else is 255
    "Protocol": "7.4-1",  # no savepoint before each statement: within one, a snapshot cannot be exported
}
SESSION = (
    "SET TIME ZONE 'UTC'",  # psqlODBC gives timestamptz in the session's zone without saying so
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
)


def join(first: Any, second: Any) -> None:
    """Let a second session see what a first one sees; both stay in a transaction until they are closed.

    Raises:
        Exception: the driver's; neither session can be used then.
    """
    first.execute("BEGIN")
    answer = first.read_arrow_batches("SELECT pg_export_snapshot()", batch_size=1)  # by default it takes 1 GB
    [moment] = [batch.column(0)[0].as_py() for batch in answer]
    second.execute("BEGIN")
    second.execute(f"SET TRANSACTION SNAPSHOT '{moment}'")


def say_one_session(place: str, error: Exception) -> None:
    _LOG.info("%s is read by one session, a second cannot share its moment: %s", place, type(error).__name__)
