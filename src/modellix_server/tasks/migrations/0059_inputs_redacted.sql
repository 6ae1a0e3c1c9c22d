-- How far the inputs of a team that does not keep them are redacted.
create table tasks.inputs_redacted (
    team_id bigint not null,
    live boolean not null,
    up_to uuid not null,
    primary key (team_id, live)
);
comment on column tasks.inputs_redacted.up_to is
    'no task before it has an input';
grant select, insert, update on tasks.inputs_redacted to modellix_app;
