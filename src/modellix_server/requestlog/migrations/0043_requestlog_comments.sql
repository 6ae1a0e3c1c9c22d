-- What docs/schema.sql and psql's \d+ show beside tables and columns.
comment on schema requestlog is
    'One row per API call, by day. No key: rows are only ever appended, read by team and time, and dropped a day at a time.';
comment on column requestlog.entry.team_id is
    'null: refused before it was known who calls';
comment on column requestlog.entry.path is
    'without query';
comment on column requestlog.entry.code is
    'the platform''s error code';
comment on column requestlog.entry.input is
    'redacted and cut';
comment on column requestlog.entry.answer is
    'redacted and cut';
comment on column requestlog.entry.client is
    'the caller''s address, where it is kept';
comment on table requestlog.loss is
    'Rows that never reached the log.';
comment on column requestlog.entry.request_id is
    'X-Request-Id of the answer';
