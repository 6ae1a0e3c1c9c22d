-- Who did what, when and from where: rows are only added, and each carries a hash over itself and the row
-- before it. Whoever changes one must change all after it, and then the end differs from the hash that was
-- noted elsewhere (`modellix-server audit head`).
create schema audit;
grant usage on schema audit to modellix_app;

create table audit.entry (
    seq bigint primary key,                   -- 1, 2, 3 …: without gaps
    at timestamptz not null,
    actor text not null check (length(actor) between 1 and 200),    -- admin:name, key:7, leak report
    origin text not null check (length(origin) between 1 and 200),  -- the host or the address it came from
    action text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
    subject text not null check (length(subject) between 1 and 200),  -- team:1, key:7, upstream:dashscope
    team_id bigint,
    details json not null check (octet_length(details::text) <= 8192),  -- json, not jsonb: its text is hashed
    previous bytea not null check (length(previous) = 32),
    hash bytea not null check (length(hash) = 32)
);
create index entry_of_team on audit.entry (team_id, seq) where team_id is not null;

-- The end of the chain. Its lock puts writers in a row until they commit; only acts of people take it.
create table audit.head (
    only_one boolean primary key default true check (only_one),
    seq bigint not null,
    hash bytea not null
);
insert into audit.head (seq, hash) values (0, decode(repeat('00', 32), 'hex'));

grant select on audit.entry, audit.head to modellix_app;

-- Not even the owner's programs change an entry by mistake. A superuser can; the chain is for that.
create function audit.refuse() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end
$$;
create trigger append_only before update or delete or truncate on audit.entry
    for each statement execute function audit.refuse();

-- SHA-256 over the previous hash and the fields, each as `<bytes>:<text>,` so that no two lists look alike.
create function audit.chained(p_previous bytea, p_fields text[]) returns bytea
language sql immutable set search_path = pg_catalog as $$
    select sha256(p_previous || (
        select string_agg(
            convert_to(octet_length(convert_to(field, 'UTF8')) || ':' || field || ',', 'UTF8'), ''::bytea order by nth)
        from unnest(p_fields) with ordinality as f (field, nth)))
$$;

-- Adds an entry; to be called last in the transaction of the change it tells about.
create function audit.record(
    p_actor text, p_origin text, p_action text, p_subject text, p_team bigint, p_details json) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare
    last audit.head;
    moment timestamptz;
    made bytea;
begin
    select * into strict last from audit.head for update;
    moment := clock_timestamp();
    made := audit.chained(last.hash, array[
        (last.seq + 1)::text, (extract(epoch from moment) * 1000000)::bigint::text,
        p_actor, p_origin, p_action, p_subject, coalesce(p_team::text, '-'), p_details::text]);
    insert into audit.entry (seq, at, actor, origin, action, subject, team_id, details, previous, hash)
    values (last.seq + 1, moment, p_actor, p_origin, p_action, p_subject, p_team, p_details, last.hash, made);
    update audit.head set seq = last.seq + 1, hash = made;
    return last.seq + 1;
end
$$;

revoke execute on all functions in schema audit from public;
grant execute on function audit.record(text, text, text, text, bigint, json) to modellix_app;
