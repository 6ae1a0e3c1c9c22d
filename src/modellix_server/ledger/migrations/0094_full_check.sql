-- Checks of everything that operators ask for: a worker makes them, as a large ledger takes minutes.
create table ledger.full_check (
    id bigint generated always as identity primary key,
    asked_at timestamptz not null default now(),
    asked_by text not null,
    origin text not null,
    steps int not null,
    done int not null default 0,
    begun_at timestamptz,
    ended_at timestamptz,
    found int,
    findings text[],
    failed text,
    check ((ended_at is null) or (failed is null) <> (found is null))
);
create unique index full_check_open on ledger.full_check ((true)) where ended_at is null;
comment on table ledger.full_check is 'Checks of the whole ledger that operators have asked for, one at a time.';
comment on column ledger.full_check.asked_by is 'the actor, as in the audit log';
comment on column ledger.full_check.done is 'of `steps`';
comment on column ledger.full_check.begun_at is 'when a worker took it; another one begins anew where that one died';
comment on column ledger.full_check.findings is 'the first of them, in words';
comment on column ledger.full_check.failed is 'why it came to no end';
grant select, insert, update on ledger.full_check to modellix_app;
