-- How long a team's inputs are kept.
alter table identity.team add column input_days int check (input_days between 0 and 3650);
comment on column identity.team.input_days is
    'days after which inputs are redacted: 0 as soon as a task has ended, null never';
grant update (input_days) on identity.team to modellix_app;
