"""The schema editors use agrees with the loader, and every shipped query is SQL of the database it is meant for."""

import copy
from pathlib import Path

import jsonschema
import pytest
import sqlglot
import yaml

from docs.generate_tables import SCHEMA_TARGET
from retail_assets.sources import mapping
from retail_assets.sources.mapping import load_mapping, shipped_mappings
from retail_assets.sources.mapping_schema import mapping_schema
from retail_assets.tables import entities

FOLDER = Path(mapping.__file__).parent
SCHEMA = mapping_schema()


def _content(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", shipped_mappings())
def test_every_shipped_mapping_validates(name):
    jsonschema.validate(_content(name), SCHEMA)


@pytest.mark.parametrize("name", shipped_mappings())
def test_every_shipped_mapping_points_at_the_schema(name):
    path = FOLDER / f"{name}.yaml"
    marker, _, reference = path.read_text(encoding="utf-8").splitlines()[0].partition("$schema=")
    assert marker == "# yaml-language-server: "
    assert (path.parent / reference).resolve() == SCHEMA_TARGET.resolve()


def _change(*keys, value):
    content = copy.deepcopy(_content("m5"))
    place = content
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return content


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("entities", "sale"), {"source_tables": ["t"], "query": "SELECT 1"}),
        (("entities", "stores"), None),
        (("entities", "stores", "query"), None),
        (("entities", "stores", "source_tables"), []),
        (("entities", "sales", "columns"), {"produkt_id": "item"}),
        (("entities", "sales", "querry"), "SELECT 1"),
        (("country",), "Britain"),
        (("currency",), None),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(keys, value):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(_change(*keys, value=value), SCHEMA)


def test_every_entity_and_column_is_described():
    described = SCHEMA["properties"]["entities"]["properties"]
    assert list(described) == [entity.name for entity in entities.SOURCE_ENTITIES]
    for entity in entities.SOURCE_ENTITIES:
        assert entity.meaning in described[entity.name]["description"]
        columns = described[entity.name]["properties"]["columns"]["properties"]
        assert list(columns) == entity.column_names
    quantity = described["sales"]["properties"]["columns"]["properties"]["quantity"]["description"]
    assert quantity == "decimal(18, 3) (units), required. Units sold; negative for a return."
    assert "Required." in described["sales"]["description"]
    assert "Required." not in described["inventory"]["description"]


@pytest.mark.parametrize("name", shipped_mappings())
def test_every_shipped_query_is_sql_of_sql_server(name):
    for entity, binding in load_mapping(name).entities.items():
        query = binding.statement.rendered(lambda _: "CAST(? AS date)")
        (parsed,) = sqlglot.parse(query, read="tsql")
        assert isinstance(parsed, sqlglot.exp.Query), entity
        tables = {".".join(part.name for part in table.parts) for table in parsed.find_all(sqlglot.exp.Table)}
        assert tables == set(binding.source_tables), entity
