-- What tasks came to, by day: usage pages and statements read some thousand rows instead of every task. Added up from the
-- ledger's closing transfers, of which each task has one, in their order and once each.
create table tasks.usage_day (
    team_id bigint not null,
    live boolean not null,
    day date not null,
    model text not null,
    key_id bigint not null,
    actor text not null,
    bucket smallint not null,
    succeeded bigint not null,
    failed bigint not null,
    charged bigint not null,
    primary key (team_id, live, day, model, key_id, actor, bucket)
);
comment on table tasks.usage_day is 'Tasks that ended on a day (UTC), in sums; what ended since is added when it is read.';
comment on column tasks.usage_day.key_id is 'the key that submitted them; 0: a signed-in user did';
comment on column tasks.usage_day.actor is 'the signed-in user that submitted them: user:<id>; empty: a key did';
comment on column tasks.usage_day.bucket is 'how long they took: see tasks.latency_bucket; -1: they failed';
comment on column tasks.usage_day.charged is 'micro-dollars';

create table tasks.usage_mark (
    only_one boolean primary key default true check (only_one),
    up_to bigint not null default 0
);
comment on table tasks.usage_mark is 'How far tasks.usage_day has come.';
comment on column tasks.usage_mark.up_to is 'tasks that transfers up to this number closed are in tasks.usage_day';
insert into tasks.usage_mark default values;

grant select on tasks.usage_day, tasks.usage_mark to modellix_app;
