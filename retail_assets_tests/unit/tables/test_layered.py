"""An entity goes through the layers with its own tables, in any order of the contracts."""

import dataclasses

import pytest

from retail_assets.tables import bronze, entities, layered, silver


@pytest.mark.parametrize("row", [*layered.DAILY, *layered.SNAPSHOTS], ids=lambda row: row.entity.name)
def test_the_tables_of_a_row_are_those_of_its_entity(row):
    assert row.entity.name == row.bronze.name == row.silver.name
    assert (row.bronze.layer, row.silver.layer) == ("bronze", "silver")


def test_every_entity_has_a_row_and_every_table_of_an_entity_is_in_one():
    rows = [*layered.DAILY, *layered.SNAPSHOTS]
    assert {row.entity.name for row in rows} == {
        entity.name for entity in (*entities.SOURCE_ENTITIES, *entities.APPLICATION_ENTITIES)
    }
    assert {row.silver.name for row in layered.SNAPSHOTS} == {table.name for table in silver.SNAPSHOTS}


def test_an_entity_that_is_added_at_the_end_of_one_list_and_elsewhere_in_the_other_crosses_nothing():
    depots = dataclasses.replace(entities.STORES, name="depots")
    raw = (dataclasses.replace(bronze.SNAPSHOTS[0], name="depots"), *bronze.SNAPSHOTS)
    conformed = (*silver.SNAPSHOTS, dataclasses.replace(silver.STORES, name="depots"))
    rows = layered.layered((*entities.SNAPSHOTS, depots), raw, conformed)
    assert [(row.bronze.name, row.silver.name) for row in rows] == [(row.entity.name,) * 2 for row in rows]


def test_an_entity_without_a_table_says_where_it_is_missing():
    depots = dataclasses.replace(entities.STORES, name="depots")
    with pytest.raises(LookupError, match=r"The entity depots has no silver table; add it to tables/silver\.py"):
        layered.layered((depots,), (dataclasses.replace(bronze.SNAPSHOTS[0], name="depots"),), silver.SNAPSHOTS)
