"""Delta tables made older than they are: every moment of the log, and of the files on disk, lies further back."""

import json
import os
from pathlib import Path
from typing import Any

MOMENTS = ("timestamp", "modificationTime", "deletionTimestamp", "createdTime")
DAY_SECONDS = 86_400


def age(table: Path, *, days: float) -> None:
    """Moves all that is there into the past; checkpoints keep their moments, so age before one is made."""
    for file in [path for path in table.rglob("*") if path.is_file()]:
        before = file.stat()
        if file.suffix == ".json":
            file.write_text("".join(_aged(line, days) for line in file.read_text("utf-8").splitlines()), "utf-8")
        os.utime(file, (before.st_atime - days * DAY_SECONDS, before.st_mtime - days * DAY_SECONDS))


def _aged(line: str, days: float) -> str:
    action: dict[str, Any] = json.loads(line)
    for content in action.values():
        for moment in MOMENTS:
            if isinstance(content, dict) and content.get(moment):
                content[moment] -= int(days * DAY_SECONDS * 1000)
    return json.dumps(action) + "\n"
