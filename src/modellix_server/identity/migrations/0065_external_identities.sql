-- Signing in with accounts of other providers.
create table identity.external_identity (
    issuer text not null check (length(issuer) <= 500),
    subject text not null check (length(subject) between 1 and 255),
    user_id bigint not null references identity.app_user (id),
    provider text not null,
    name text not null check (length(name) <= 254),
    created_at timestamptz not null default now(),
    used_at timestamptz not null default now(),
    primary key (issuer, subject),
    unique (user_id, issuer)
);
comment on table identity.external_identity is
    'An account elsewhere that signs a user in. It is known by issuer and subject, never by its address.';
comment on column identity.external_identity.name is 'what its owner recognises it by: an address or a login';

create table identity.outside_sign_in (
    state_hash bytea primary key check (length(state_hash) = 32),
    browser_hash bytea not null check (length(browser_hash) = 32),
    provider text not null,
    nonce text not null,
    verifier text not null,
    target text not null check (length(target) <= 2000),
    user_id bigint references identity.app_user (id),
    address text not null,
    created_at timestamptz not null default now(),
    ends_at timestamptz not null
);
create index outside_sign_in_age on identity.outside_sign_in (ends_at);
create index outside_sign_in_of_address on identity.outside_sign_in (address, created_at);
comment on table identity.outside_sign_in is
    'A browser that was sent to a provider and has not come back yet. Only hashes of its state and cookie are stored.';
comment on column identity.outside_sign_in.user_id is 'who links an account elsewhere to its own; null: somebody signs in';

grant select, insert, delete on identity.external_identity, identity.outside_sign_in to modellix_app;
grant update (used_at, name) on identity.external_identity to modellix_app;
