-- Sums by hours beside those by days: a span that begins or ends within a day reads some hundred of them instead of the
-- tasks of that day. They have no times, so they are fewer than those of days would be. Both are added up anew.
create table tasks.usage_hour (
    team_id bigint not null,
    live boolean not null,
    hour timestamptz not null,
    model text not null,
    key_id bigint not null,
    actor text not null,
    succeeded bigint not null,
    failed bigint not null,
    charged bigint not null,
    primary key (team_id, live, hour, model, key_id, actor)
);
comment on table tasks.usage_hour is 'The same as tasks.usage_day by hours (UTC), without how long tasks took.';
comment on column tasks.usage_hour.charged is 'micro-dollars';
grant select on tasks.usage_hour to modellix_app;
truncate tasks.usage_day;
update tasks.usage_mark set up_to = 0;
