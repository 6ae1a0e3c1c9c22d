-- What docs/schema.sql and psql's \d+ show beside tables and columns.
comment on schema audit is
    'Who changed what, when and from where: rows are only added, and each carries a hash over itself and the row before it.';
comment on column audit.audit_entry.seq is
    '1, 2, 3 …: without gaps';
comment on column audit.audit_entry.actor is
    'admin:name, key:7, leak report';
comment on column audit.audit_entry.origin is
    'the host or the address it came from';
comment on column audit.audit_entry.subject is
    'team:1, key:7, upstream:dashscope';
comment on column audit.audit_entry.details is
    'json, not jsonb: its text is hashed';
comment on table audit.head is
    'The end of the chain. Its lock puts writers in a row until they commit; only acts of people take it.';
