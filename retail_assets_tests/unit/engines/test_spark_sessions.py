"""What a Spark session is told, and what it does not tell."""

import os
import sys
from pathlib import Path

import pytest

from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.engines.spark.engine import SparkEngine
from retail_assets.failures import PermanentFailure
from retail_assets.graph.wiring import engine_of
from retail_assets.lake.lake import Lake
from retail_assets.resources import spark as spark_module
from retail_assets.resources.spark import PACKAGES, SparkSessions
from retail_assets.settings import load_settings, prepare_for_spark

CANARY = "c4n4ry"
STORAGE = {"spark.hadoop.fs.azure.account.key.acme.dfs.core.windows.net": CANARY}


def test_a_local_session_has_delta_and_the_memory_of_the_settings() -> None:
    config = SparkSessions("local[2]", STORAGE, memory="1.5GB").config()
    assert (config["spark.master"], config["spark.driver.memory"]) == ("local[2]", "1536m")
    assert config["spark.jars.packages"] == ",".join(PACKAGES)
    assert config["spark.sql.extensions"] == "io.delta.sql.DeltaSparkSessionExtension"
    assert CANARY not in str(config), "the settings of the start stand on the command line of the JVM"


def test_a_cluster_keeps_its_own_memory() -> None:
    config = SparkSessions("spark://host:7077", {}, memory="2GB").config()
    assert config["spark.master"] == "spark://host:7077"
    assert not {"spark.driver.memory", "spark.sql.shuffle.partitions"} & set(config)


def test_spark_connect_brings_its_own_jars_and_takes_the_storage_as_session_settings() -> None:
    config = SparkSessions("sc://host:15002", STORAGE, memory="2GB").config()
    assert config["spark.remote"] == "sc://host:15002"
    assert not {"spark.master", "spark.jars.packages", "spark.sql.extensions"} & set(config)


def test_the_key_reaches_the_session_when_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, str] = {}

    class Started:
        def __init__(self, **_: object) -> None:
            self.spark_session = self
            self.conf = self

        def set(self, name: str, value: str) -> None:
            told[name] = value

    monkeypatch.setattr(spark_module, "LazyPySparkResource", Started)
    sessions = SparkSessions("local[2]", {**STORAGE, "spark.redaction.regex": "key"}, memory="2GB")
    assert sessions() is sessions()
    assert told == {"fs.azure.account.key.acme.dfs.core.windows.net": CANARY}
    assert sessions.config()["spark.redaction.regex"] == "key"


def test_a_token_in_the_address_is_not_printed() -> None:
    assert repr(SparkSessions(f"sc://host:443/;token={CANARY}", {}, memory="2GB")) == "SparkSessions('sc://host:443/')"


def test_secrets_are_not_printed() -> None:
    assert repr(SparkSessions("local[2]", STORAGE, memory="2GB")) == "SparkSessions('local[2]')"


def test_a_session_that_does_not_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, **_: object) -> None: ...

        @property
        def spark_session(self) -> None:
            raise spark_module.PySparkException("Java gateway process exited.\nmore")

    monkeypatch.setattr(spark_module, "LazyPySparkResource", Broken)
    with pytest.raises(PermanentFailure) as raised:
        SparkSessions("local[2]", STORAGE, memory="2GB")()
    assert str(raised.value) == (
        "Spark does not start on local[2] (Java gateway process exited): look at what Java printed above, use Java 17 "
        "or 21, and let it reach Maven or put the jars into ~/.ivy2.5.2; or use RETAIL_ENGINE=duckdb."
    )


@pytest.mark.parametrize(("name", "kind"), [("duckdb", DuckDBEngine), ("spark", SparkEngine)])
def test_the_engine_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, kind: type) -> None:
    """Nothing starts: the session is asked for when a table is."""
    monkeypatch.setenv("RETAIL_ENGINE", name)
    assert isinstance(engine_of(load_settings(), Lake(str(tmp_path))), kind)


def test_spark_without_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "retail_assets.engines.spark.engine", None)
    monkeypatch.setenv("RETAIL_ENGINE", "spark")
    with pytest.raises(PermanentFailure, match=r"^RETAIL_ENGINE=spark needs the package .*\[spark\]'\.$"):
        engine_of(load_settings(), Lake(str(tmp_path)))


def test_a_machine_without_java_gets_the_one_of_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", "")
    monkeypatch.setenv("PYSPARK_PYTHON", "other")
    prepare_for_spark()
    assert (Path(os.environ["JAVA_HOME"]) / "bin" / "java").exists()
    assert os.environ["PYSPARK_PYTHON"] == "other"


def test_a_java_of_the_machine_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/opt/java")
    prepare_for_spark()
    assert os.environ["JAVA_HOME"] == "/opt/java"
