"""The decision on a new version as Dagster makes it from a lake, read back by DuckDB."""

from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from retail_assets.graph import jobs
from retail_assets.tables.catalog import table_at
from retail_assets.tables.forecast import BACKTEST_LOSSES, DEMAND_MODEL, MODEL_VERSIONS
from retail_assets_tests.dagster import snapshot
from retail_assets_tests.dashboards.lake_data import TRAINED, TRAININGS, build_frames, write_table

NEW_COLUMNS = ["parts", "bias_factor", "gap_error"]


def _decided(home: Path, lake: Path) -> list[dict[str, Any]]:
    """Materialises forecast/model_versions alone and reads it."""
    found = snapshot.definitions(home, lake_uri=str(lake))
    with dg.DagsterInstance.ephemeral() as instance:
        done = found.resolve_job_def(jobs.TRAIN).execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(MODEL_VERSIONS.asset_key)]
        )
    assert done.success
    files = DeltaTable(str(lake / MODEL_VERSIONS.path)).file_uris()
    with duckdb.connect() as connection:
        rows = connection.sql("SELECT * FROM read_parquet($1) ORDER BY week_start_date", params=[files])
        return [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]


@pytest.mark.parametrize("is_reversed", [False, True], ids=["oldest first", "newest first"])
def test_the_decision_lies_in_the_lake_whatever_the_order_of_trainings(tmp_path: Path, is_reversed: bool) -> None:
    frames = build_frames()
    for week in sorted(TRAININGS, reverse=is_reversed):
        for table in (DEMAND_MODEL, BACKTEST_LOSSES):
            rows = frames[table.path]
            write_table(tmp_path / "lake", table_at(table.path), rows[rows["week_start_date"] == week])
    first, biased, newest = _decided(tmp_path / "home", tmp_path / "lake")
    assert (first["champion_version"], biased["promoted_on"], newest["promoted_on"]) == (None, None, TRAINED)
    assert newest["champion_version"] == first["model_version"] and newest["shared_origins"] == 22
    assert newest["shared_scaled_pinball"] == pytest.approx(0.045)
    assert newest["champion_scaled_pinball"] == pytest.approx(0.05)
    assert newest["gap_error"] == pytest.approx(0, abs=1e-12)
    assert newest["reason"].startswith("Promoted, better than the version in force: scaled pinball")


def test_a_lake_of_an_older_release_keeps_its_decisions_before_the_next_training(tmp_path: Path) -> None:
    """Neither the losses nor the columns of today were ever written."""
    frame = build_frames()["forecast/demand_model"][DEMAND_MODEL.column_names]
    rows = pa.Table.from_pandas(frame, schema=DEMAND_MODEL.schema, preserve_index=False).drop_columns(NEW_COLUMNS)
    write_deltalake(tmp_path / "lake" / DEMAND_MODEL.path, rows, partition_by=["week_start_date"])
    found = _decided(tmp_path / "home", tmp_path / "lake")
    assert [row["promoted_on"] is not None for row in found] == [True, False, True]
    assert "without losses by week to compare with the version in force" in found[-1]["reason"]
