"""How a sentence names the operational database; what its errors mean says `database_errors`."""

import sqlalchemy as sa

from retail_assets.addresses import place
from retail_assets.database_errors import Database


def operational_database(url: sa.URL, *, advice: str = "correct the query in the mapping") -> Database:
    return Database(f"operational database {place(url)}", "RETAIL_SOURCE_URL", url, advice)
