"""The audit log: who did what, when and from where, in a hash chain that shows tampering."""

from modellix_server.audit.store import Actor, AuditEntry, entries_of, head, list_entries, record
from modellix_server.audit.verify import Head, verify
