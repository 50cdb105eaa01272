"""The graph wired from settings.

Partitions, backfill policy, groups, descriptions and columns come from the table contracts; resources come
from the settings and can be replaced by name in tests.
"""

from typing import Any

import dagster as dg

from retail_assets.graph import jobs, registry, schedules, sensors
from retail_assets.graph.partitions import partitions
from retail_assets.graph.specs import Systems, described_spec, source_specs
from retail_assets.graph.wiring import resources_of
from retail_assets.nights import make_up
from retail_assets.runs.heartbeat import in_process_with_heartbeat
from retail_assets.settings import Settings
from retail_assets.sources.mapping import Mapping, load_mapping


def build_definitions(settings: Settings, *, overrides: dict[str, Any] | None = None) -> dg.Definitions:
    """Everything wired for the settings.

    Args:
        settings: validated settings.
        overrides: resources that replace the built ones, by name.

    Raises:
        PermanentFailure: the mapping cannot be read.
    """
    mapping = load_mapping(settings.source_mapping)
    return dg.Definitions(
        assets=[*source_specs(mapping, Systems.of(settings)), *_assets(settings, mapping)],
        asset_checks=registry.CHECKS,
        jobs=jobs.JOBS,
        schedules=schedules.schedules(settings, settings.timezone or mapping.timezone),
        sensors=[
            *sensors.SENSORS,
            sensors.publish_after_ingest(settings),
            sensors.ingest_changed_days(settings),
            make_up.make_up_missed(settings),
        ],
        resources={**resources_of(settings, mapping), **(overrides or {})},
        executor=in_process_with_heartbeat,
    )


def _assets(settings: Settings, mapping: Mapping) -> list[dg.AssetsDefinition]:
    kinds = partitions(settings, settings.timezone or mapping.timezone)
    declared = registry.assets(horizon_days=settings.horizon_days, train_days=settings.train_days)
    systems = Systems.of(settings)
    assets = dg.map_asset_specs(lambda spec: described_spec(spec, kinds, mapping, systems), declared)
    policy = dg.BackfillPolicy.single_run()
    return [asset.with_attributes(backfill_policy=policy) for asset in assets if isinstance(asset, dg.AssetsDefinition)]
