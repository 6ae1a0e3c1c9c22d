"""The request log: one row per API call, written in batches off the hot path."""

from modellix_server.requestlog.reading import (
    EntryFilter,
    EntryPlace,
    LoggedCall,
    ServerFaults,
    find_entry,
    list_entries,
    list_submissions,
    server_faults,
    tasks_of_request,
)
from modellix_server.requestlog.redaction import redact_body, redact_path
from modellix_server.requestlog.store import (
    LogEntry,
    SubmissionEntry,
    count_lost,
    drop_old,
    ensure_partitions,
    redact_inputs,
)
from modellix_server.requestlog.writer import Writer
