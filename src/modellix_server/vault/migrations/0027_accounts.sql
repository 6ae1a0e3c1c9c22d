-- Several accounts at one upstream. `upstream` stays what the statements of version 0.1.0 take it for, the one key of
-- this table: it holds `dashscope` for the account `main` there, and `dashscope/NAME` for every other. The key of a
-- vendor is sealed for that whole value, so it opens for no other account.
alter table vault.account
    add column id bigint generated always as identity,
    add column weight smallint not null default 1,     -- its share of new submissions among the enabled ones
    add column enabled boolean not null default true;  -- false: no new submissions; its running tasks go on
alter table vault.account add constraint account_weight check (weight between 1 and 100) not valid;
