-- How people join: invitations to a team, and the sign-up policy; and how a team ends.
create table identity.invitation (
    id bigint generated always as identity primary key,
    team_id bigint not null references identity.team (id),
    email text not null check (email = lower(email) and length(email) between 3 and 254),
    role text not null check (role in ('owner', 'admin', 'developer', 'billing', 'viewer')),
    hash bytea not null unique check (length(hash) = 32),
    invited_by bigint not null references identity.app_user (id),
    created_at timestamptz not null default now(),
    ends_at timestamptz not null,
    closed_at timestamptz,
    accepted_by bigint references identity.app_user (id)
);
create unique index invitation_open on identity.invitation (team_id, email) where closed_at is null;
create index invitation_of_email on identity.invitation (email) where closed_at is null;
create index invitation_of_team on identity.invitation (team_id, created_at);
comment on table identity.invitation is
    'An invitation to a team, for whoever signs in with its address. Of its link, only the SHA-256 is stored.';
comment on column identity.invitation.closed_at is 'accepted, withdrawn, or replaced by another one';

alter table identity.team add column ended_at timestamptz;
comment on column identity.team.ended_at is 'the team has no members and no keys that work from then on; its books stay';

alter table identity.sign_in_code add column sign_up boolean not null default false;
comment on column identity.sign_in_code.sign_up is 'nobody has this address yet, and whoever enters the code becomes a user';
comment on column identity.sign_in_code.user_id is
    'null: nobody has this address. Unless it may sign up, the hash is of nothing then, and nothing was sent';

create table identity.starter_credit (
    address_hash bytea primary key check (length(address_hash) = 32),
    team_id bigint not null references identity.team (id),
    created_at timestamptz not null default now()
);
comment on table identity.starter_credit is
    'Who had the money that a first team starts with, by a keyed hash of the address: once, also after the user was deleted.';

grant select, insert on identity.invitation, identity.starter_credit to modellix_app;
grant update (closed_at, accepted_by) on identity.invitation to modellix_app;
grant update (name, ended_at) on identity.team to modellix_app;
