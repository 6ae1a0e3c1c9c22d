-- Members who are told by mail when a budget of the team or of one of its keys is nearly or wholly used.
create table billing.budget_alert (
    team_id bigint not null,
    live boolean not null,
    user_id bigint not null,
    primary key (team_id, live, user_id)
);
comment on table billing.budget_alert is 'Which member is told, by mail, that a budget is nearly or wholly used.';
grant select, insert, delete on billing.budget_alert to modellix_app;
