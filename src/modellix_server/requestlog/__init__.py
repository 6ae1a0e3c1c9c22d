"""The request log: one row per API call, written in batches off the hot path."""

from modellix_server.requestlog.redaction import redact_body, redact_path, redact_text
from modellix_server.requestlog.store import Entry, drop_old, ensure_partitions
from modellix_server.requestlog.writer import Writer

__all__ = ["Entry", "Writer", "drop_old", "ensure_partitions", "redact_body", "redact_path", "redact_text"]
