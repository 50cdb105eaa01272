"""The definition graph as JSON, so that a changed edge, partition, schedule or check shows in review.

Refresh the stored one after a wanted change: `python -m retail_assets_tests.dagster.snapshot`.
"""

import datetime as dt
import json
import warnings
from pathlib import Path
from typing import Any

import dagster as dg

from retail_assets.graph.build import build_definitions
from retail_assets.graph.jobs import JOBS
from retail_assets.settings import Settings

FILE = Path(__file__).with_name("definition_graph.json")
START = dt.date(2025, 1, 1)


def definitions(home: Path = Path("unused"), **settings: Any) -> dg.Definitions:
    """The shipped graph of the demo mapping from a fixed first day, with nothing of the environment in it."""
    return build_definitions(Settings(_env_file=None, home=home, **({"start_date": START} | settings)))  # pyright: ignore


def graph(found: dg.Definitions) -> dict[str, Any]:
    """Assets with their reads, jobs, schedules, sensors and checks, ready for JSON."""
    return {
        "assets": {spec.key.to_user_string(): _asset(spec) for spec in _sorted(found)},
        "checks": _checks(found),
        "jobs": {job.name: _job(found, job.name) for job in JOBS},
        "schedules": {schedule.name: _schedule(schedule) for schedule in found.schedules or []},  # pyright: ignore
        "sensors": {sensor.name: _sensor(sensor) for sensor in found.sensors or []},
    }


def _sorted(found: dg.Definitions) -> list[dg.AssetSpec]:
    return sorted(found.resolve_all_asset_specs(), key=lambda spec: spec.key.to_user_string())


def _asset(spec: dg.AssetSpec) -> dict[str, Any]:
    return {
        "group": spec.group_name,
        "partitions": str(spec.partitions_def) if spec.partitions_def else None,
        "reads": {dep.asset_key.to_user_string(): _mapping(dep.partition_mapping) for dep in _by_key(spec)},
    }


def _by_key(spec: dg.AssetSpec) -> list[dg.AssetDep]:
    return sorted(spec.deps, key=lambda dep: dep.asset_key.to_user_string())


def _mapping(mapping: dg.PartitionMapping | None) -> str | None:
    if mapping is None:
        return None
    offsets = [f"{name}={getattr(mapping, name)}" for name in ("start_offset", "end_offset") if hasattr(mapping, name)]
    return f"{type(mapping).__name__}({', '.join(offsets)})"


def _checks(found: dg.Definitions) -> dict[str, str]:
    """Check by asset and name: whether a failure stops what is downstream."""
    assets = found.resolve_asset_graph()
    specs = [assets.get_check_spec(key) for key in assets.asset_check_keys]
    named = {f"{spec.asset_key.to_user_string()}: {spec.name}": spec for spec in specs}
    return {name: "blocks" if named[name].blocking else "warns" for name in sorted(named)}


def _job(found: dg.Definitions, name: str) -> list[str]:
    return sorted(key.to_user_string() for key in found.resolve_job_def(name).asset_layer.selected_asset_keys)


def _schedule(schedule: dg.ScheduleDefinition) -> dict[str, Any]:
    return {"cron": schedule.cron_schedule, "timezone": schedule.execution_timezone, "job": schedule.job_name}


def _sensor(sensor: dg.SensorDefinition) -> dict[str, Any]:
    return {"kind": sensor.sensor_type.value, "status": sensor.default_status.value, "jobs": _targets(sensor)}


def _targets(sensor: dg.SensorDefinition) -> list[str]:
    return sorted(job.name for job in sensor.jobs) if sensor.has_jobs else []


def text(found: dg.Definitions) -> str:
    return json.dumps(graph(found), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        FILE.write_text(text(definitions()), encoding="utf-8")
    print(f"written {FILE.name}")
