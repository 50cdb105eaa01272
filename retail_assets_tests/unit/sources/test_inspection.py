"""What the inspector's answer becomes: kinds of columns of each database, keys, views, the tables of a login."""

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, postgresql

from retail_assets.failures import PermanentFailure
from retail_assets.sources.proposing.inspection import Kind, inspect_database, kind_of
from retail_assets.sources.proposing.matching import with_implied_keys


@pytest.mark.parametrize(
    ("sql_type", "kind"),
    [
        (mssql.MONEY(), Kind.NUMBER),
        (mssql.SMALLMONEY(), Kind.NUMBER),
        (mssql.BIT(), Kind.FLAG),
        (mssql.TINYINT(), Kind.INTEGER),
        (mssql.DATETIME2(7), Kind.MOMENT),
        (mssql.SMALLDATETIME(), Kind.MOMENT),
        (mssql.DATETIMEOFFSET(), Kind.MOMENT),
        (mssql.NVARCHAR(50), Kind.TEXT),
        (mssql.UNIQUEIDENTIFIER(), Kind.OTHER),
        (mssql.ROWVERSION(), Kind.OTHER),
        (mssql.REAL(), Kind.NUMBER),
        (mssql.XML(), Kind.TEXT),
        (postgresql.TIMESTAMP(timezone=True), Kind.MOMENT),
        (postgresql.DOUBLE_PRECISION(), Kind.NUMBER),
        (postgresql.MONEY(), Kind.NUMBER),
        (postgresql.JSONB(), Kind.OTHER),
        (postgresql.UUID(), Kind.OTHER),
        (mysql.DECIMAL(9, 2), Kind.NUMBER),
        (mysql.DATETIME(), Kind.MOMENT),
        (mysql.BIGINT(), Kind.INTEGER),
        (sa.Date(), Kind.DATE),
        (sa.Boolean(), Kind.FLAG),
        (sa.types.NullType(), Kind.OTHER),
    ],
    ids=repr,
)
def test_types_of_every_database_have_a_kind(sql_type, kind):
    assert kind_of(sql_type) is kind


@pytest.fixture
def database(tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript("""
            CREATE TABLE shop (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
            CREATE TABLE sale (id INTEGER PRIMARY KEY, shop_id INTEGER, day DATE, seller INTEGER REFERENCES shop (id));
            CREATE VIEW newest AS SELECT id, day FROM sale;
        """)
    return sa.make_url(f"sqlite:///{tmp_path / 'shop.db'}")


def test_tables_come_with_columns_keys_and_views(database):
    found = {table.name: table for table in inspect_database(database)}
    assert sorted(found) == ["newest", "sale", "shop"]
    assert [(c.name, c.kind, c.is_nullable) for c in found["shop"].columns] == [
        ("id", Kind.INTEGER, True),
        ("name", Kind.TEXT, False),
    ]
    assert (found["sale"].primary_key, found["sale"].schema) == (("id",), None)
    assert [(key.columns, key.table, key.referred) for key in found["sale"].foreign_keys] == [
        (("seller",), (None, "shop"), ("id",))
    ]
    assert found["newest"].is_view and not found["sale"].is_view


def test_a_column_called_like_another_tables_key_refers_to_it(database):
    keys = {key.columns: key for t in with_implied_keys(inspect_database(database)) for key in t.foreign_keys}
    assert keys[("shop_id",)].is_implied and keys[("shop_id",)].table == (None, "shop")
    assert not keys[("seller",)].is_implied


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "no.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(
        PermanentFailure, match=r"refuses the connection: file is not a database; correct RETAIL_SOURCE_UR"
    ):
        inspect_database(sa.make_url(f"sqlite:///{path}"))


def test_a_driver_that_cannot_be_loaded(monkeypatch):
    def unloadable(*_, **__):
        raise ImportError("libodbc.so.2: cannot open shared object file")

    monkeypatch.setattr(sa, "create_engine", unloadable)
    with pytest.raises(PermanentFailure) as raised:
        inspect_database(sa.make_url("mssql+pyodbc://reader:s3cret@host/shop?driver=x"))
    assert str(raised.value) == (
        "RETAIL_SOURCE_URL needs a driver that cannot be loaded: libodbc.so.2: cannot open shared object file; install "
        "unixODBC (apt-get install unixodbc, brew install unixodbc) and the driver."
    )


def test_a_login_that_may_not_look(monkeypatch):
    def refused(*_, **__):
        raise sa.exc.ProgrammingError("SELECT", None, Exception("permission denied for schema information_schema"))

    monkeypatch.setattr(sa, "create_engine", refused)
    with pytest.raises(PermanentFailure) as raised:
        inspect_database(sa.make_url("postgresql+psycopg://reader:s3cret@host/shop"))
    assert str(raised.value) == (
        "The tables of host/shop cannot be listed: permission denied for schema information_schema; let the login see "
        "their definitions."
    )
