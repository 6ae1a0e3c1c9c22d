-- What docs/schema.sql and psql's \d+ show beside tables and columns.
comment on schema vault is
    'The operator''s accounts at the vendors. The key is AES-256-GCM under a key derived from the master key, bound to the upstream and its base URL: a row moved or pointed elsewhere cannot be opened.';
comment on column vault.account.base_url is
    'the only origin the key is ever sent to';
comment on column vault.account.key_id is
    'which master key it was encrypted under';
comment on column vault.account.origins is
    'further origins that results may come from';
comment on column vault.account.polls_per_s is
    'null: the vendor''s usual limit';
comment on table vault.canary is
    'A value that every process opens when it starts, so that a wrong master key is noticed although nothing else has been sealed yet.';
comment on column vault.account.upstream is
    'the name of the upstream for its account main, UPSTREAM/NAME for any other';
comment on column vault.account.weight is
    'share of new submissions among the enabled accounts';
comment on column vault.account.enabled is
    'false: no new submissions; running tasks go on';
