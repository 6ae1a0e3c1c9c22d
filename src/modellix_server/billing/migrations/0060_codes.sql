-- Redemption codes. The money itself moves in the ledger alone, in the transaction that uses a code up.
create schema billing;
grant usage on schema billing to modellix_app;
comment on schema billing is 'How money comes in: redemption codes, recharges, and alerts about balances.';

create table billing.code_batch (
    id bigint generated always as identity primary key,
    name text not null check (name ~ '^[^[:cntrl:]]{1,100}$'),
    live boolean not null,
    amount bigint not null check (amount > 0),
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    created_by text not null,
    revoked_at timestamptz
);
comment on table billing.code_batch is 'Redemption codes made together, each worth the same.';
comment on column billing.code_batch.amount is 'micro-dollars of each code';

create table billing.code (
    id bigint generated always as identity primary key,
    batch_id bigint not null references billing.code_batch,
    hash bytea not null unique,
    ending text not null,
    team_id bigint,
    redeemed_at timestamptz,
    redeemed_by text,
    check ((redeemed_at is null) = (team_id is null) and (redeemed_at is null) = (redeemed_by is null))
);
create index code_of_batch on billing.code (batch_id);
comment on table billing.code is 'One redemption code, used up by one team once.';
comment on column billing.code.hash is 'HMAC under the pepper; the code itself is shown once and kept nowhere';
comment on column billing.code.ending is 'its last characters, by which people recognise it';

create table billing.guess (
    team_id bigint primary key,
    window_start timestamptz not null,
    count integer not null
);
comment on table billing.guess is 'Wrong codes that a team entered within the last window; a code is counted before it is compared.';

grant select, insert, update on billing.code_batch, billing.code, billing.guess to modellix_app;
grant usage on all sequences in schema billing to modellix_app;
