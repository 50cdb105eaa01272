"""Operations: what the house work on the lake found and did."""

from retail_assets.tables.contract import COUNT, NULLABLE, TEXT, TIMESTAMP, UNITS, Table, described

LAKE_MAINTENANCE = Table(
    layer="operations",
    name="lake_maintenance",
    meaning="What the last maintenance found and did in each table of the lake; earlier ones are earlier versions.",
    grain="table of the lake",
    key=("table_path",),
    columns=described(
        ("table_path", TEXT, "Layer and name of the table."),
        ("maintained_at", TIMESTAMP, "When its maintenance began.", "UTC"),
        ("delta_version", COUNT, "Newest version after it.", "", NULLABLE),
        ("row_count", COUNT, "Rows after it, by the log.", "rows", NULLABLE),
        ("files_before", COUNT, "Files of the newest version before it.", "files", NULLABLE),
        ("files_after", COUNT, "Files of the newest version after it.", "files", NULLABLE),
        ("bytes_before", COUNT, "Their size before it.", "bytes", NULLABLE),
        ("bytes_after", COUNT, "Their size after it.", "bytes", NULLABLE),
        ("expired_partitions", COUNT, "As-of dates older than the table keeps, taken out.", "days"),
        ("expired_rows", COUNT, "Their rows.", "rows"),
        ("compacted_partitions", COUNT, "Folders whose small files became one sorted file.", "folders"),
        ("skipped_partitions", COUNT, "Folders left for the next time: a writer changed them meanwhile.", "folders"),
        ("vacuumed_files", COUNT, "Files that no version within the history needs, deleted.", "files"),
        ("vacuumed_bytes", COUNT, "Their size.", "bytes"),
        ("checkpoint_version", COUNT, "Version of the newest checkpoint of the log.", "", NULLABLE),
        ("log_files", COUNT, "Files of the log after its clean-up.", "files", NULLABLE),
        ("seconds", UNITS, "How long it took.", "seconds"),
        ("problem", TEXT, "Why it was not finished; empty when it was.", "", NULLABLE),
    ),
    sort_by=("table_path",),
)
TABLES = (LAKE_MAINTENANCE,)
