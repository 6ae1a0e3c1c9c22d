-- Recharges through a payment provider. The money itself moves in the ledger alone, in the transaction that changes a row.
create table billing.recharge (
    id uuid primary key,
    team_id bigint not null,
    live boolean not null,
    provider text not null,
    amount bigint not null check (amount > 0),
    currency text not null,
    state text not null default 'open' check (state in ('open', 'waiting', 'paid', 'expired', 'failed', 'refused')),
    checkout_id text,
    payment_id text,
    pay_url text,
    created_at timestamptz not null default now(),
    created_by text not null,
    changed_at timestamptz not null default now(),
    paid_at timestamptz,
    taken_back bigint not null default 0,
    owed bigint not null default 0,
    version integer not null default 0,
    check ((state = 'paid') = (paid_at is not null)),
    check (0 <= owed and owed <= taken_back and taken_back <= amount),
    check (state = 'paid' or taken_back = 0)
);
create unique index recharge_checkout on billing.recharge (provider, checkout_id) where checkout_id is not null;
create unique index recharge_payment on billing.recharge (provider, payment_id) where payment_id is not null;
create index recharge_listing on billing.recharge (team_id, live, id);
create index recharge_owed on billing.recharge (team_id, live) where owed > 0;
comment on table billing.recharge is 'One attempt of a team to put money in. Credited once at most, whatever the provider says how often.';
comment on column billing.recharge.amount is 'micro-dollars, whole cents; what the provider must have taken before anything is credited';
comment on column billing.recharge.state is
    'open: not paid; waiting: the bank has not said yet; refused: paid otherwise than ordered, nothing credited, see the reviews';
comment on column billing.recharge.payment_id is 'the provider''s payment: unique, so that one payment is credited once';
comment on column billing.recharge.taken_back is 'micro-dollars that were refunded or disputed, by the provider''s record';
comment on column billing.recharge.owed is 'the part of taken_back that was spent before it could be taken from the balance';

create table billing.payment_event (
    provider text not null,
    id text not null,
    type text not null,
    recharge_id uuid,
    at timestamptz not null default now(),
    primary key (provider, id)
);
comment on table billing.payment_event is 'Verified events of payment providers that were acted on.';

grant select, insert, update on billing.recharge to modellix_app;
grant select, insert on billing.payment_event to modellix_app;
