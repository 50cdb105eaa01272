"""`retail-assets check-source` on a real PostgreSQL: what each mistake looks like, and with which code it ends."""

import psycopg
import pytest
import sqlalchemy as sa
import yaml

from retail_assets.command_line import cli
from retail_assets_tests.integration.postgresql import PASSWORD, running_postgresql

CONTENT = {
    "name": "mine",
    "timezone": "Europe/Paris",
    "country": "FR",
    "currency": "EUR",
    "entities": {
        "stores": {"source_tables": ["shop"], "query": "SELECT id AS store_id, name AS store_name FROM shop"},
        "products": {"source_tables": ["item"], "query": "SELECT id AS product_id, name AS product_name FROM item"},
        "sales": {
            "source_tables": ["line"],
            "query": "SELECT id AS sale_line_id, day AS business_date, shop AS store_id, item AS product_id, qty AS "
            "quantity, price AS unit_price FROM line WHERE day BETWEEN :start AND :end",
        },
    },
}
SCHEMA = """
    CREATE TABLE shop (id int, name text); INSERT INTO shop VALUES (1, 'North');
    CREATE TABLE item (id int, name text); INSERT INTO item VALUES (7, 'Apple');
    CREATE TABLE line (id int, day date, shop int, item int, qty text, price numeric(9, 2));
    INSERT INTO line VALUES (1, '2024-05-01', 1, 7, '2', 1.5), (2, '2024-05-03', 1, 7, '1', 1.5),
                            (3, '2024-05-03', 1, 7, '4', 1.5);
    CREATE DATABASE nothing;
"""


@pytest.fixture(scope="module")
def server():
    with running_postgresql() as url:
        parts = sa.make_url(url)
        with psycopg.connect(
            host=parts.host, port=parts.port, user=parts.username, password=PASSWORD, dbname="postgres", autocommit=True
        ) as connection:
            for statement in SCHEMA.split(";"):
                connection.execute(statement.encode())
        yield parts


@pytest.fixture
def check(server, tmp_path, monkeypatch, typed):
    """Runs the command; gives its exit code, what it printed and its error."""

    def call(*, url=server, **queries: str) -> tuple[int, str, str]:
        bound = {name: CONTENT["entities"][name] | {"query": query} for name, query in queries.items()}
        content = CONTENT | {"entities": CONTENT["entities"] | bound}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("RETAIL_SOURCE_MAPPING", "mine.yaml")
        monkeypatch.setenv("RETAIL_SOURCE_URL", url.render_as_string(hide_password=False))
        monkeypatch.setattr(cli.console, "width", 200)
        code, printed, error = typed("check-source")
        assert PASSWORD not in printed + error
        return code, printed, error

    return call


def test_a_good_mapping_tells_its_days_and_the_next_command(check):
    code, printed, error = check()
    assert (code, error) == (0, "")
    assert "2 from 2024-05-01 to 2024-05-03" in printed
    assert "Next: RETAIL_START_DATE=2024-05-01 retail-assets run" in printed


def test_a_server_that_is_down(check, server):
    code, printed, error = check(url=server.set(port=1))
    assert (code, printed) == (75, "")
    assert error.startswith("The operational database 127.0.0.1:1/postgres cannot be used now: ")
    assert error.endswith("Try again later.")


def test_a_wrong_password_is_tried_once_and_not_shown(check, server):
    code, printed, error = check(url=server.set(password="s3cr;t"))
    assert (code, printed) == (2, "")
    assert error.startswith(f"The operational database 127.0.0.1:{server.port}/postgres refuses the connection: ")
    assert "password authentication failed" in error
    assert error.endswith("correct RETAIL_SOURCE_URL.")
    assert "s3cr" not in error


def test_an_empty_database(check, server):
    code, printed, _ = check(url=server.set(database="nothing"))
    assert code == 2
    for entity, table in {"stores": "shop", "products": "item", "sales": "line"}.items():
        assert (
            f"mapping mine, entity {entity}: the database 127.0.0.1:{server.port}/nothing refuses the query: "
            f'relation "{table}" does not exist; correct the query in the mapping.' in printed
        )


@pytest.mark.parametrize(
    ("queries", "sentence"),
    [
        (
            {"stores": "SELECT id AS store_id, name AS store_name FROM shops"},
            'relation "shops" does not exist; correct the query in the mapping.',
        ),
        (
            {"products": "SELECT id AS product_id, nam AS product_name FROM item"},
            'column "nam" does not exist; correct the query in the mapping.',
        ),
        (
            {"stores": "SELECT id AS store_id, name FROM shop"},
            "mapping mine, entity stores: the query gives no column store_name; it gives store_id, name.",
        ),
        (
            {"stores": "SELECT id AS store_id, name AS store_name, name AS opened_date FROM shop"},
            "1 sampled values of opened_date are not dates (YYYY-MM-DD), for example 'North'; use CAST(opened_date AS "
            "DATE) in the query.",
        ),
        (
            {"stores": "SELECT id AS store_id, name AS store_name FROM shop WHERE id = 2"},
            "mapping mine, entity stores: the query gives no rows; check its tables and conditions.",
        ),
    ],
)
def test_a_mistake_in_the_mapping_is_one_sentence(check, queries, sentence):
    code, printed, error = check(**queries)
    assert (code, error) == (2, "")
    assert sentence in printed
    assert "Next:" not in printed


def test_what_is_given_and_not_used_is_named(check):
    code, printed, _ = check(stores="SELECT id AS store_id, name AS store_name, 1 AS regoin FROM shop")
    assert code == 0
    assert "stores gives what is not used: regoin." in printed
    assert "stores does not give region, store_format, opened_date, closed_date, opening_weekdays, trading_hours." in (
        " ".join(printed.split())
    )
