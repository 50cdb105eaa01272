"""The Spark session, through dagster-pyspark: a local master, a cluster's master, or Spark Connect.

A plain object rather than a configured resource, because the lake's key is part of the session's settings and
every setting shows in the UI.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from dagster_pyspark import LazyPySparkResource
from pyspark.errors import PySparkException

from retail_assets.addresses import shown, without_secrets
from retail_assets.failures import PermanentFailure, first_line

PACKAGES = ("io.delta:delta-spark_4.2_2.13:4.4.0", "org.apache.hadoop:hadoop-azure:3.5.0")
"""Jars for Spark 4.2.0 and the Hadoop 3.5.0 it carries; resolved from Maven when the session starts."""

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
_SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    # an empty day over an empty day is a commit too: it tells a write from a lost one
    "spark.databricks.delta.skipRecordingEmptyCommits": "false",
    # small files are joined as they are written; OPTIMIZE keeps concurrent writers safe
    "spark.databricks.delta.autoCompact.enabled": "true",
    "spark.databricks.delta.autoCompact.minNumFiles": "4",
}
_LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
_HADOOP = "spark.hadoop."


class SparkSessions:
    """Gives the process's session when it is first needed.

    Args:
        remote: `local[*]`, a master such as `spark://host:7077`, or a Spark Connect address `sc://host:15002`.
        storage: settings that open the lake (`Lake.hadoop_options`); they hold secrets.
        memory: memory of a local driver, such as `2GB`.
    """

    def __init__(self, remote: str, storage: Mapping[str, str], *, memory: str) -> None:
        self._remote, self._storage, self._memory = remote, dict(storage), memory

    def __repr__(self) -> str:
        return f"SparkSessions({self._place!r})"

    @property
    def _place(self) -> str:
        """The address without what follows it, which may be a token."""
        return shown(self._remote).removesuffix("?…")

    def __call__(self) -> Any:
        """The session.

        Raises:
            PermanentFailure: it cannot be started.
        """
        try:
            return self._session
        except PySparkException as error:
            reason = without_secrets(first_line(error), self._remote)
            raise PermanentFailure(
                f"Spark does not start on {self._place} ({reason}): look at what Java printed above, use "
                "Java 17 or 21, and let it reach Maven or put the jars into ~/.ivy2.5.2; or use RETAIL_ENGINE=duckdb."
            ) from None

    @cached_property
    def _session(self) -> Any:
        """Secrets are set when it runs: what a session is started with stands on the command line of its JVM."""
        session = LazyPySparkResource(spark_config=self.config()).spark_session
        for name, value in self._storage.items():
            if name.startswith(_HADOOP):
                session.conf.set(name.removeprefix(_HADOOP), value)
        return session

    def config(self) -> dict[str, str]:
        """What the session is started with: nothing secret. Spark Connect brings its own jars and extensions."""
        if self._remote.startswith("sc://"):
            return {"spark.remote": self._remote, **_SESSION}
        own = {"spark.master": self._remote, "spark.app.name": "retail-assets", **_DELTA, **_SESSION}
        if self._remote.startswith("local"):
            own |= {**_LOCAL, "spark.driver.memory": _java_memory(self._memory)}
        own |= {"spark.jars.packages": ",".join(PACKAGES)}
        return own | {name: value for name, value in self._storage.items() if not name.startswith(_HADOOP)}


def _java_memory(memory: str) -> str:
    """`1.5GB` as Java wants it."""
    number, unit = float(memory.rstrip("GMB ")), memory[-2:]
    return f"{int(number * {'GB': 1024, 'MB': 1}[unit])}m"
