-- A balance after any transfer, without adding up all of them: the ledger monitor leaves an anchor every 1,000 transfers
-- of an account. Transfers never change, so neither does an anchor.
create table ledger.anchor (
    team_id bigint not null,
    live boolean not null,
    id bigint not null,
    posted bigint not null,
    held bigint not null,
    primary key (team_id, live, id)
);
comment on table ledger.anchor is 'The balance of an account after its transfer `id`, for statements; every 1,000 transfers.';
grant select on ledger.anchor to modellix_app;
alter table ledger.total add column transfers bigint not null default 0;
comment on column ledger.total.transfers is 'how many were added up since anchors are left';
