-- People: who signs in, which teams they belong to, and their signed-in browsers.

create table identity.app_user (
    id bigint generated always as identity primary key,
    email text check (email = lower(email) and length(email) between 3 and 254 and email ~ '^[^[:space:][:cntrl:]]+@[^[:space:][:cntrl:]]+$'),
    name text not null check (length(name) between 1 and 100 and name !~ '[[:cntrl:]]'),
    operator boolean not null default false,
    language text check (language in ('en', 'zh')),
    time_zone text check (length(time_zone) <= 64),
    theme text check (theme in ('light', 'dark')),
    created_at timestamptz not null default now(),
    deleted_at timestamptz
);
create unique index app_user_email on identity.app_user (email) where deleted_at is null;
comment on table identity.app_user is 'A person. A deleted one keeps the row, without address and name, as records name it.';
comment on column identity.app_user.email is 'lower case; null only of a deleted user';
comment on column identity.app_user.operator is 'runs the whole platform';
comment on column identity.app_user.language is 'null: as the browser asks';
comment on column identity.app_user.theme is 'null: as the system is set';

create table identity.membership (
    team_id bigint not null references identity.team (id),
    user_id bigint not null references identity.app_user (id),
    role text not null check (role in ('owner', 'admin', 'developer', 'billing', 'viewer')),
    created_at timestamptz not null default now(),
    primary key (team_id, user_id)
);
create index membership_of_user on identity.membership (user_id);

create table identity.session (
    id bigint generated always as identity primary key,
    hash bytea not null unique check (length(hash) = 32),
    user_id bigint not null references identity.app_user (id),
    method text not null check (length(method) between 1 and 100),
    address text not null,
    agent text not null check (length(agent) <= 200),
    signed_in_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    ends_at timestamptz not null,
    team_id bigint references identity.team (id),
    live boolean not null default false
);
create index session_of_user on identity.session (user_id, id);
comment on table identity.session is 'A signed-in browser. Only the SHA-256 of its cookie is stored; signing out deletes the row.';
comment on column identity.session.method is 'how it signed in: link, code, or the name of an identity provider';
comment on column identity.session.signed_in_at is 'the last proof of identity: some acts ask for a recent one';
comment on column identity.session.seen_at is 'written at most every few minutes';
comment on column identity.session.team_id is 'what its pages show where a page names no team';

create table identity.sign_in_link (
    hash bytea primary key check (length(hash) = 32),
    user_id bigint references identity.app_user (id),
    created_at timestamptz not null default now(),
    ends_at timestamptz not null,
    used_at timestamptz
);
comment on table identity.sign_in_link is 'A one-time link that signs an operator in; without a user, it makes one.';

grant select, insert on identity.app_user, identity.membership, identity.session, identity.sign_in_link to modellix_app;
grant update (email, name, operator, language, time_zone, theme, deleted_at) on identity.app_user to modellix_app;
grant update (role), delete on identity.membership to modellix_app;
grant update (signed_in_at, seen_at, team_id, live, method), delete on identity.session to modellix_app;
grant update (used_at), delete on identity.sign_in_link to modellix_app;
