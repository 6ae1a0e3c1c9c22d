-- Calls of unknown callers beyond the first ones of a minute are one row with their number.
alter table requestlog.entry add column calls int check (calls > 0);
comment on column requestlog.entry.calls is
    'how many calls without a known caller this row stands for; null: it is one call';
