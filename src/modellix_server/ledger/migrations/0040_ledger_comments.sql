-- What docs/schema.sql and psql's \d+ show beside tables and columns.
comment on schema ledger is
    'Append-only double-entry transfers in micro-dollars, and one stored balance for each team and mode.';
comment on table ledger.balance is
    'posted = money the team has; held = the part of it set aside for unfinished tasks.';
comment on column ledger.transfer.amount is
    '0 only where a task is free: its hold and its release';
comment on column ledger.transfer.key_id is
    'the key that caused it, where a key did';
comment on column ledger.transfer.actor is
    'the person or command that caused it, otherwise';
comment on column ledger.transfer.closes is
    'the row that ends a hold: one a task';
comment on table ledger.checkpoint is
    'How far the ledger monitor has come (docs/adr/0014): what is surely complete was added up into ledger.total.';
comment on column ledger.checkpoint.up_to is
    'every transfer up to this number is in ledger.total';
comment on column ledger.checkpoint.ahead is
    'the next checkpoint: complete when every transaction before ahead_xid has ended';
comment on column ledger.checkpoint.sealed is
    'the audit log has digests of all transfers up to this number';
comment on column ledger.checkpoint.looked_at is
    'when the last run ended, whatever it found';
comment on table ledger.frozen is
    'Accounts that take no new tasks, because they did not add up, until an operator unfreezes them. Team 0 stands for all.';
comment on view ledger.effect is
    'What each transfer does to its account''s balance.';
