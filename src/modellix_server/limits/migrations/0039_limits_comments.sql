-- What docs/schema.sql and psql's \d+ show beside tables and columns.
comment on schema limits is
    'What a team may do, where it differs from the defaults.';
comment on column limits.team_limit.concurrency is
    'unfinished tasks at a time; null = the default';
comment on column limits.team_limit.rpm is
    'requests per minute over all keys of the team';
comment on column limits.team_limit.key_rpm is
    'requests per minute of each key';
comment on column limits.team_limit.most_waiting is
    'accepted tasks that may wait for a slot, in each mode; null = the default, 100';
