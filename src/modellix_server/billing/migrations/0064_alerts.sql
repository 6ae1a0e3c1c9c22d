-- Alerts about balances: a member is told once when it falls below a threshold, and again only after it has recovered.
create table billing.alert (
    id bigint generated always as identity primary key,
    team_id bigint not null,
    live boolean not null,
    user_id bigint not null,
    threshold bigint not null check (threshold > 0),
    created_at timestamptz not null default now(),
    crossed_at timestamptz,
    unique (team_id, live, user_id, threshold)
);
comment on table billing.alert is 'Which member is told, by mail, when a balance falls below a threshold.';
comment on column billing.alert.threshold is 'micro-dollars that must be available';
comment on column billing.alert.crossed_at is 'told then, and the balance has not recovered since';
grant select, insert, update, delete on billing.alert to modellix_app;
grant usage on all sequences in schema billing to modellix_app;
