-- Requests of clients that send a request again by themselves, and name no idempotency key (docs/adr/0031).
create table tasks.sending (
    team_id bigint not null,
    live boolean not null,
    digest bytea not null,
    key text not null,
    tries int not null,
    state text not null check (state in ('open', 'lost', 'refused', 'answered')),
    changed_at timestamptz not null default now(),
    primary key (team_id, live, digest, key)
);
create index sending_age on tasks.sending (changed_at);
comment on table tasks.sending is
    'A request that its client may send again, for 15 minutes: the idempotency key that all its attempts share.';
comment on column tasks.sending.digest is 'SHA-256 of key, route, model and parameters';
comment on column tasks.sending.key is 'its idempotency key';
comment on column tasks.sending.tries is 'how often its client had sent it again at its latest attempt';
comment on column tasks.sending.state is
    'of its latest attempt: open (under way), lost (no answer went out), refused (no task, may be sent again), answered';
grant select, insert, update, delete on tasks.sending to modellix_app;
