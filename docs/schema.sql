-- The whole database as it is now, made by scripts/schema.py out of the catalogues of PostgreSQL 18.
-- Nothing is changed here: see docs/migrations.md.
set check_function_bodies = off;


-- ====================================================== base ======================================================
create schema base;

create table base.migration (
    version integer not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    unfinished boolean not null default false,
    constraint migration_pkey primary key (version)
);

create table base.function (
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    constraint function_pkey primary key (name)
);



-- ==================================================== identity ====================================================
-- Teams and their API keys. A key's text is never stored: only HMAC-SHA-256 under the server's pepper.
create schema identity;

create table identity.team (
    id bigint generated always as identity,
    name text not null,
    created_at timestamptz not null default now(),
    -- days after which inputs are redacted: 0 as soon as a task has ended, null never
    input_days integer,
    -- the team has no members and no keys that work from then on; its books stay
    ended_at timestamptz,
    constraint team_pkey primary key (id),
    constraint team_name_key unique (name),
    constraint team_input_days_check check (input_days >= 0 and input_days <= 3650),
    constraint team_name_check check (name = btrim(name) and length(name) >= 1 and length(name) <= 64 and name !~ '[[:cntrl:]]'::text)
);

create table identity.api_key (
    id bigint generated always as identity,
    team_id bigint not null,
    live boolean not null,
    name text not null,
    hash bytea not null,
    prefix text not null,                     -- with last4: what people recognise a key by
    last4 text not null,
    created_at timestamptz not null default now(),
    created_by text not null,
    revoked_at timestamptz,
    -- what it may use, beside the models of `types`; both empty: every model
    models text[] not null default '{}'::text[],
    types text[] not null default '{}'::text[],
    expires_at timestamptz,                   -- refused from then on
    deleted_at timestamptz,                   -- not shown any more; the row stays, as the books name it
    tag text,                                 -- a label of keys that belong together, such as a project; null: none
    constraint api_key_pkey primary key (id),
    constraint api_key_hash_key unique (hash),
    constraint api_key_team_id_fkey foreign key (team_id) references identity.team(id),
    constraint api_key_hash_check check (length(hash) = 32),
    constraint api_key_name_check check (length(name) >= 1 and length(name) <= 64 and name !~ '[[:cntrl:]]'::text),
    constraint api_key_tag_check check (tag = btrim(tag) and length(tag) >= 1 and length(tag) <= 64 and tag !~ '[[:cntrl:]]'::text)
);
create index api_key_of_team on identity.api_key (team_id, id);

-- A person. A deleted one keeps the row, without address and name, as records name it.
create table identity.app_user (
    id bigint generated always as identity,
    email text,                               -- lower case; null only of a deleted user
    name text not null,
    operator boolean not null default false,  -- runs the whole platform
    language text,                            -- null: as the browser asks
    time_zone text,
    theme text,                               -- null: as the system is set
    created_at timestamptz not null default now(),
    deleted_at timestamptz,
    constraint app_user_pkey primary key (id),
    constraint app_user_email_check check (email = lower(email) and length(email) >= 3 and length(email) <= 254 and email ~ '^[^[:space:][:cntrl:]]+@[^[:space:][:cntrl:]]+$'::text),
    constraint app_user_language_check check (language = any (array['en'::text, 'zh'::text])),
    constraint app_user_name_check check (length(name) >= 1 and length(name) <= 100 and name !~ '[[:cntrl:]]'::text),
    constraint app_user_theme_check check (theme = any (array['light'::text, 'dark'::text])),
    constraint app_user_time_zone_check check (length(time_zone) <= 64)
);
create unique index app_user_email on identity.app_user (email) where deleted_at is null;

create table identity.membership (
    team_id bigint not null,
    user_id bigint not null,
    role text not null,
    created_at timestamptz not null default now(),
    constraint membership_pkey primary key (team_id, user_id),
    constraint membership_team_id_fkey foreign key (team_id) references identity.team(id),
    constraint membership_user_id_fkey foreign key (user_id) references identity.app_user(id),
    constraint membership_role_check check (role = any (array['owner'::text, 'admin'::text, 'developer'::text, 'billing'::text, 'viewer'::text]))
);
create index membership_of_user on identity.membership (user_id);

-- A signed-in browser. Only the SHA-256 of its cookie is stored; signing out deletes the row.
create table identity.session (
    id bigint generated always as identity,
    hash bytea not null,
    user_id bigint not null,
    method text not null,                     -- how it signed in: link, code, or the name of an identity provider
    address text not null,
    agent text not null,
    signed_in_at timestamptz not null default now(),  -- the last proof of identity: some acts ask for a recent one
    seen_at timestamptz not null default now(),  -- written at most every few minutes
    ends_at timestamptz not null,
    team_id bigint,                           -- what its pages show where a page names no team
    live boolean not null default false,
    constraint session_pkey primary key (id),
    constraint session_hash_key unique (hash),
    constraint session_team_id_fkey foreign key (team_id) references identity.team(id),
    constraint session_user_id_fkey foreign key (user_id) references identity.app_user(id),
    constraint session_agent_check check (length(agent) <= 200),
    constraint session_hash_check check (length(hash) = 32),
    constraint session_method_check check (length(method) >= 1 and length(method) <= 100)
);
create index session_of_user on identity.session (user_id, id);

-- A one-time link that signs an operator in; without a user, it makes one.
create table identity.sign_in_link (
    hash bytea not null,
    user_id bigint,
    created_at timestamptz not null default now(),
    ends_at timestamptz not null,
    used_at timestamptz,
    constraint sign_in_link_pkey primary key (hash),
    constraint sign_in_link_user_id_fkey foreign key (user_id) references identity.app_user(id),
    constraint sign_in_link_hash_check check (length(hash) = 32)
);

-- A code that was asked for. Only its HMAC under the server's pepper is stored. The newest of an address is good.
create table identity.sign_in_code (
    id bigint generated always as identity,
    email text not null,
    -- null: nobody has this address. Unless it may sign up, the hash is of nothing then, and nothing was sent
    user_id bigint,
    hash bytea not null,
    address text not null,                    -- who asked
    tries integer not null default 0,         -- guesses that were compared; raised before the comparison
    created_at timestamptz not null default now(),
    ends_at timestamptz not null,
    used_at timestamptz,
    sign_up boolean not null default false,   -- nobody has this address yet, and whoever enters the code becomes a user
    constraint sign_in_code_pkey primary key (id),
    constraint sign_in_code_user_id_fkey foreign key (user_id) references identity.app_user(id),
    constraint sign_in_code_hash_check check (length(hash) = 32),
    constraint sign_in_code_tries_check check (tries <= 5)
);
create index sign_in_code_age on identity.sign_in_code (created_at);
create index sign_in_code_of_address on identity.sign_in_code (address, created_at);
create index sign_in_code_of_email on identity.sign_in_code (email, id);

-- Former texts of keys, which work until their overlap ends.
create table identity.rotated_key (
    hash bytea not null,
    key_id bigint not null,
    ends_at timestamptz not null,
    constraint rotated_key_pkey primary key (hash),
    constraint rotated_key_key_id_fkey foreign key (key_id) references identity.api_key(id),
    constraint rotated_key_hash_check check (length(hash) = 32)
);
create index rotated_key_of_key on identity.rotated_key (key_id);

-- When a key was last used, to within a minute. Apart from the keys, as a change of those empties caches.
create table identity.key_use (
    key_id bigint not null,
    used_at timestamptz not null,
    constraint key_use_pkey primary key (key_id),
    constraint key_use_key_id_fkey foreign key (key_id) references identity.api_key(id)
) with (fillfactor=50);

-- An account elsewhere that signs a user in. It is known by issuer and subject, never by its address.
create table identity.external_identity (
    issuer text not null,
    subject text not null,
    user_id bigint not null,
    provider text not null,
    name text not null,                       -- what its owner recognises it by: an address or a login
    created_at timestamptz not null default now(),
    used_at timestamptz not null default now(),
    constraint external_identity_pkey primary key (issuer, subject),
    constraint external_identity_user_id_issuer_key unique (user_id, issuer),
    constraint external_identity_user_id_fkey foreign key (user_id) references identity.app_user(id),
    constraint external_identity_issuer_check check (length(issuer) <= 500),
    constraint external_identity_name_check check (length(name) <= 254),
    constraint external_identity_subject_check check (length(subject) >= 1 and length(subject) <= 255)
);

-- A browser that was sent to a provider and has not come back yet. Only hashes of its state and cookie are stored.
create table identity.outside_sign_in (
    state_hash bytea not null,
    browser_hash bytea not null,
    provider text not null,
    nonce text not null,
    verifier text not null,
    target text not null,
    user_id bigint,                           -- who links an account elsewhere to its own; null: somebody signs in
    address text not null,
    created_at timestamptz not null default now(),
    ends_at timestamptz not null,
    -- what the browser was about to send, without secrets: a form, to go on with
    kept text,
    constraint outside_sign_in_pkey primary key (state_hash),
    constraint outside_sign_in_user_id_fkey foreign key (user_id) references identity.app_user(id),
    constraint outside_sign_in_browser_hash_check check (length(browser_hash) = 32),
    constraint outside_sign_in_kept_check check (length(kept) <= 65536),
    constraint outside_sign_in_state_hash_check check (length(state_hash) = 32),
    constraint outside_sign_in_target_check check (length(target) <= 2000)
);
create index outside_sign_in_age on identity.outside_sign_in (ends_at);
create index outside_sign_in_of_address on identity.outside_sign_in (address, created_at);

-- An invitation to a team, for whoever signs in with its address. Of its link, only the SHA-256 is stored.
create table identity.invitation (
    id bigint generated always as identity,
    team_id bigint not null,
    email text not null,
    role text not null,
    hash bytea not null,
    invited_by bigint not null,
    created_at timestamptz not null default now(),
    ends_at timestamptz not null,
    closed_at timestamptz,                    -- accepted, withdrawn, or replaced by another one
    accepted_by bigint,
    constraint invitation_pkey primary key (id),
    constraint invitation_hash_key unique (hash),
    constraint invitation_accepted_by_fkey foreign key (accepted_by) references identity.app_user(id),
    constraint invitation_invited_by_fkey foreign key (invited_by) references identity.app_user(id),
    constraint invitation_team_id_fkey foreign key (team_id) references identity.team(id),
    constraint invitation_email_check check (email = lower(email) and length(email) >= 3 and length(email) <= 254),
    constraint invitation_hash_check check (length(hash) = 32),
    constraint invitation_role_check check (role = any (array['owner'::text, 'admin'::text, 'developer'::text, 'billing'::text, 'viewer'::text]))
);
create index invitation_of_email on identity.invitation (email) where closed_at is null;
create index invitation_of_team on identity.invitation (team_id, created_at);
create unique index invitation_open on identity.invitation (team_id, email) where closed_at is null;

-- Who had the money that a first team starts with, by a keyed hash of the address: once, also after the user was
-- deleted.
create table identity.starter_credit (
    address_hash bytea not null,
    team_id bigint not null,
    created_at timestamptz not null default now(),
    constraint starter_credit_pkey primary key (address_hash),
    constraint starter_credit_team_id_fkey foreign key (team_id) references identity.team(id),
    constraint starter_credit_address_hash_check check (length(address_hash) = 32)
);

grant usage on schema identity to modellix_app;
grant insert, select on identity.api_key to modellix_app;
grant insert, select on identity.app_user to modellix_app;
grant delete, insert, select on identity.external_identity to modellix_app;
grant insert, select on identity.invitation to modellix_app;
grant insert, select on identity.key_use to modellix_app;
grant delete, insert, select on identity.membership to modellix_app;
grant delete, insert, select on identity.outside_sign_in to modellix_app;
grant select on identity.rotated_key to modellix_app;
grant delete, insert, select on identity.session to modellix_app;
grant delete, insert, select on identity.sign_in_code to modellix_app;
grant delete, insert, select on identity.sign_in_link to modellix_app;
grant insert, select on identity.starter_credit to modellix_app;
grant insert, select on identity.team to modellix_app;
grant update (deleted_at, expires_at, models, revoked_at, tag, types) on identity.api_key to modellix_app;
grant update (deleted_at, email, language, name, operator, theme, time_zone) on identity.app_user to modellix_app;
grant update (name, used_at) on identity.external_identity to modellix_app;
grant update (accepted_by, closed_at) on identity.invitation to modellix_app;
grant update (used_at) on identity.key_use to modellix_app;
grant update (role) on identity.membership to modellix_app;
grant update (hash, live, method, seen_at, signed_in_at, team_id) on identity.session to modellix_app;
grant update (tries, used_at) on identity.sign_in_code to modellix_app;
grant update (used_at) on identity.sign_in_link to modellix_app;
grant update (ended_at, input_days, name) on identity.team to modellix_app;

-- Which of these keys may still sign a request; asked inside the transaction that accepts a task. One
-- plain SELECT without settings of its own, so that the planner folds it into the calling query.
create or replace function identity.active_keys(p_keys bigint[]) returns setof bigint
language sql stable as $$
    select k.id from identity.api_key k
    where k.id = any (p_keys) and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
$$;
grant execute on function identity.active_keys to modellix_app;

-- A trigger and not a promise of the commands: a change made by hand in SQL must reach the caches too.
create or replace function identity.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_identity', '');
    return null;
end
$$;

-- Gives a key another text. The former one works for `p_overlap` more; what overlapped from earlier rotations, no longer.
create or replace function identity.rotate(
    p_key bigint, p_hash bytea, p_prefix text, p_last4 text, p_overlap interval
) returns void language plpgsql security definer set search_path = pg_catalog as $$
begin
    delete from identity.rotated_key where key_id = p_key and ends_at <= now();
    update identity.rotated_key set ends_at = least(ends_at, now() + p_overlap) where key_id = p_key;
    insert into identity.rotated_key (hash, key_id, ends_at)
    select hash, id, now() + p_overlap from identity.api_key where id = p_key;
    update identity.api_key set hash = p_hash, prefix = p_prefix, last4 = p_last4 where id = p_key;
end
$$;
grant execute on function identity.rotate to modellix_app;

-- The keys of these hashes: of their texts, and of former texts whose overlap has not ended. Whether a key itself is good
-- is for the caller to ask. A plain SELECT, so that the planner folds it into the calling query.
create or replace function identity.texts_of_keys(p_hashes bytea[])
returns table (hash bytea, key_id bigint, ends_at timestamptz) language sql stable as $$
    select k.hash, k.id, null::timestamptz from identity.api_key k where k.hash = any (p_hashes)
    union all
    select r.hash, r.key_id, r.ends_at from identity.rotated_key r where r.hash = any (p_hashes) and r.ends_at > now()
$$;
grant execute on function identity.texts_of_keys to modellix_app;

revoke execute on all functions in schema identity from public;

create or replace trigger announce after insert or delete or update on identity.api_key for each statement execute function identity.announce();


-- ===================================================== limits =====================================================
-- What a team may do, where it differs from the defaults.
create schema limits;

create table limits.team_limit (
    team_id bigint not null,
    concurrency integer,                      -- unfinished tasks at a time; null = the default
    rpm integer,                              -- requests per minute over all keys of the team
    key_rpm integer,                          -- requests per minute of each key
    -- accepted tasks that may wait for a slot, in each mode; null = the default, 100
    most_waiting integer,
    constraint team_limit_pkey primary key (team_id),
    constraint team_limit_concurrency_check check (concurrency >= 0),
    constraint team_limit_key_rpm_check check (key_rpm >= 1),
    constraint team_limit_most_waiting_check check (most_waiting >= 0),
    constraint team_limit_rpm_check check (rpm >= 1)
);

grant usage on schema limits to modellix_app;
grant insert, select, update on limits.team_limit to modellix_app;

-- Callers are cached together with their limits, so the notice goes to that cache's channel.
create or replace function limits.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_identity', '');
    return null;
end
$$;

-- How many accepted tasks of a team may wait for a free slot, in each mode: 100 where no other limit is set.
create or replace function limits.most_waiting(p_team bigint) returns int language sql stable as $$
    select coalesce((select l.most_waiting from limits.team_limit l where l.team_id = p_team), 100)
$$;
grant execute on function limits.most_waiting to modellix_app;

-- The limits in force for a team: the one place that knows the defaults (3 tasks, 1,000 and 100
-- requests a minute). Exactly one row; a plain SELECT, so that the planner folds it into the caller's.
create or replace function limits.of_team(p_team bigint) returns table (concurrency int, rpm int, key_rpm int)
language sql stable as $$
    select coalesce(l.concurrency, 3), coalesce(l.rpm, 1000), coalesce(l.key_rpm, 100)
    from (select p_team as team_id) t left join limits.team_limit l using (team_id)
$$;
grant execute on function limits.of_team to modellix_app;

revoke execute on all functions in schema limits from public;

create or replace trigger announce after insert or delete or update on limits.team_limit for each statement execute function limits.announce();


-- ===================================================== ledger =====================================================
-- Append-only double-entry transfers in micro-dollars, and one stored balance for each team and mode.
create schema ledger;

-- posted = money the team has; held = the part of it set aside for unfinished tasks.
create table ledger.balance (
    team_id bigint not null,
    live boolean not null,
    posted bigint not null default 0,
    held bigint not null default 0,
    constraint balance_pkey primary key (team_id, live),
    constraint balance_check check ((posted - held) >= 0),
    constraint balance_held_check check (held >= 0)
) with (fillfactor=50);

create table ledger.transfer (
    id bigint generated always as identity,
    at timestamptz not null default now(),
    team_id bigint not null,
    live boolean not null,
    kind text not null,
    debit text not null,
    credit text not null,
    amount bigint not null,                   -- 0 only where a task is free: its hold and its release
    task_id uuid,
    key_id bigint,                            -- the key that caused it, where a key did
    actor text,                               -- the person or command that caused it, otherwise
    note text,
    closes boolean not null default false,    -- the row that ends a hold: one a task
    constraint transfer_pkey primary key (id),
    constraint transfer_amount_check check (amount >= 0),
    constraint transfer_check check (kind = 'topup'::text and debit = 'funding'::text and credit = 'team'::text or kind = 'adjust'::text and debit = 'team'::text and credit = 'adjustment'::text or kind = 'adjust'::text and debit = 'adjustment'::text and credit = 'team'::text or kind = 'hold'::text and debit = 'team'::text and credit = 'held'::text or kind = 'capture'::text and debit = 'held'::text and credit = 'revenue'::text or kind = 'release'::text and debit = 'held'::text and credit = 'team'::text),
    constraint transfer_check1 check ((task_id is not null) = (kind = any (array['hold'::text, 'capture'::text, 'release'::text]))),
    constraint transfer_check2 check (not closes or (kind = any (array['capture'::text, 'release'::text]))),
    constraint transfer_check3 check (amount > 0 or kind = 'hold'::text or kind = 'release'::text and closes)
);
create index transfer_charged on ledger.transfer (team_id, live, key_id, id) where kind = 'capture'::text;
create unique index transfer_closes_once on ledger.transfer (task_id) where closes;
create index transfer_funding on ledger.transfer (team_id, live, id) where kind = any (array['topup'::text, 'adjust'::text]);
create unique index transfer_once on ledger.transfer (task_id, kind) where task_id is not null;
create index transfer_statement on ledger.transfer (team_id, live, id);

-- How far the ledger monitor has come (docs/adr/0014): what is surely complete was added up into ledger.total.
create table ledger.checkpoint (
    only_one boolean not null default true,
    up_to bigint not null default 0,          -- every transfer up to this number is in ledger.total
    -- the next checkpoint: complete when every transaction before ahead_xid has ended
    ahead bigint not null default 0,
    ahead_xid xid8,
    sealed bigint not null default 0,         -- the audit log has digests of all transfers up to this number
    sealed_at timestamptz not null default now(),
    looked_at timestamptz,                    -- when the last run ended, whatever it found
    constraint checkpoint_pkey primary key (only_one),
    constraint checkpoint_only_one_check check (only_one)
);

create table ledger.total (
    team_id bigint not null,
    live boolean not null,
    posted bigint not null,
    held bigint not null,
    transfers bigint not null default 0,      -- how many were added up since anchors are left
    constraint total_pkey primary key (team_id, live)
) with (fillfactor=50);

-- Accounts that take no new tasks, because they did not add up, until an operator unfreezes them. Team 0 stands for
-- all.
create table ledger.frozen (
    team_id bigint not null,
    live boolean not null,
    since timestamptz not null default now(),
    reason text not null,
    constraint frozen_pkey primary key (team_id, live)
);

-- The balance of an account after its transfer `id`, for statements; every 1,000 transfers.
create table ledger.anchor (
    team_id bigint not null,
    live boolean not null,
    id bigint not null,
    posted bigint not null,
    held bigint not null,
    constraint anchor_pkey primary key (team_id, live, id)
);

-- Checks of the whole ledger that operators have asked for, one at a time.
create table ledger.full_check (
    id bigint generated always as identity,
    asked_at timestamptz not null default now(),
    asked_by text not null,                   -- the actor, as in the audit log
    origin text not null,
    steps integer not null,
    done integer not null default 0,          -- of `steps`
    begun_at timestamptz,                     -- when a worker took it; another one begins anew where that one died
    ended_at timestamptz,
    found integer,
    findings text[],                          -- the first of them, in words
    failed text,                              -- why it came to no end
    constraint full_check_pkey primary key (id),
    constraint full_check_check check (ended_at is null or (failed is null) <> (found is null))
);
create unique index full_check_open on ledger.full_check ((true)) where ended_at is null;

-- What each transfer does to its account's balance.
create view ledger.effect as
 SELECT id,
    team_id,
    live,
        CASE kind
            WHEN 'topup'::text THEN amount
            WHEN 'capture'::text THEN - amount
            WHEN 'adjust'::text THEN
            CASE credit
                WHEN 'team'::text THEN amount
                ELSE - amount
            END
            ELSE 0::bigint
        END AS posted,
        CASE
            WHEN credit = 'held'::text THEN amount
            WHEN debit = 'held'::text THEN - amount
            ELSE 0::bigint
        END AS held
   FROM ledger.transfer;

grant usage on schema ledger to modellix_app;
grant select on ledger.anchor to modellix_app;
grant select on ledger.balance to modellix_app;
grant select on ledger.checkpoint to modellix_app;
grant select on ledger.effect to modellix_app;
grant delete, insert, select on ledger.frozen to modellix_app;
grant insert, select, update on ledger.full_check to modellix_app;
grant select on ledger.total to modellix_app;
grant select on ledger.transfer to modellix_app;
grant update (looked_at, sealed, sealed_at) on ledger.checkpoint to modellix_app;

-- A correction in either direction: into the account when p_micros is positive, out of it when negative. Unlike a credit,
-- money that comes back this way is no top-up. Fails on the balance's check when it would take more than there is.
create or replace function ledger.adjust(p_team bigint, p_live boolean, p_micros bigint, p_actor text, p_note text) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare available bigint;
begin
    update ledger.balance set posted = posted + p_micros where team_id = p_team and live = p_live
    returning posted - held into available;
    if not found then
        raise exception 'team % has no balance', p_team using errcode = 'no_data_found';
    end if;
    insert into ledger.transfer (team_id, live, kind, debit, credit, amount, actor, note)
    values (p_team, p_live, 'adjust',
        case when p_micros > 0 then 'adjustment' else 'team' end,
        case when p_micros > 0 then 'team' else 'adjustment' end,
        abs(p_micros), p_actor, p_note);
    return available;
end
$$;
grant execute on function ledger.adjust to modellix_app;

-- Moves the checkpoint forward, by at most p_most transfers; `moved` is by how many, `newer` how many are after it.
-- One caller at a time (advisory lock), and first in its transaction.
-- Numbers are given out in order but committed in any. Whoever writes transfers has locked a balance first, and with
-- that got a transaction number. So each number up to the newest that is visible belongs to a transaction that began
-- before the one whose number is taken next; when all of those have ended, what is there is all there will be.
create or replace function ledger.advance_checkpoint(p_most bigint, out moved bigint, out newer bigint)
language plpgsql security definer set search_path = pg_catalog as $$
declare
    at ledger.checkpoint;
    newest bigint;
    mine xid8;
    goal bigint;
begin
    moved := 0;
    if pg_current_xact_id_if_assigned() is not null then
        raise exception 'ledger.advance_checkpoint comes first in its transaction';
    end if;
    select coalesce(max(id), 0) into newest from ledger.transfer;
    mine := pg_current_xact_id();
    select * into strict at from ledger.checkpoint;
    if at.ahead_xid <= pg_snapshot_xmin(pg_current_snapshot()) and at.ahead > at.up_to then
        goal := least(at.ahead, at.up_to + p_most);
        insert into ledger.anchor (team_id, live, id, posted, held)
        select n.team_id, n.live, n.id, coalesce(t.posted, 0) + n.posted, coalesce(t.held, 0) + n.held
        from (select team_id, live, id, row_number() over each as number, sum(posted) over each as posted,
                  sum(held) over each as held
              from ledger.effect where id > at.up_to and id <= goal
              window each as (partition by team_id, live order by id)) n
        left join ledger.total t using (team_id, live)
        where (coalesce(t.transfers, 0) + n.number) % 1000 = 0;
        insert into ledger.total as t (team_id, live, posted, held, transfers)
        select team_id, live, sum(posted), sum(held), count(*) from ledger.effect
        where id > at.up_to and id <= goal group by team_id, live
        on conflict (team_id, live) do update set posted = t.posted + excluded.posted, held = t.held + excluded.held,
            transfers = t.transfers + excluded.transfers;
        moved := goal - at.up_to;
        at.up_to := goal;
    end if;
    -- A transaction number from the future was restored from another server.
    if at.up_to >= at.ahead or at.ahead_xid > mine then
        at.ahead := newest;
        at.ahead_xid := mine;
    end if;
    update ledger.checkpoint set up_to = at.up_to, ahead = at.ahead, ahead_xid = at.ahead_xid;
    newer := newest - at.up_to;
end
$$;
grant execute on function ledger.advance_checkpoint to modellix_app;

-- What a team can spend in a mode: no row where it has no balance. A plain SELECT, so that the planner folds it into the
-- calling query.
create or replace function ledger.available(p_team bigint, p_live boolean) returns table (available bigint)
language sql stable as $$
    select posted - held from ledger.balance where team_id = p_team and live = p_live
$$;
grant execute on function ledger.available to modellix_app;

-- The transfers that end a hold: one a task, in the transaction that ends the task. A plain SELECT, so that the planner
-- folds it into the calling query.
create or replace function ledger.closings() returns table (id bigint, team_id bigint, live boolean, task_id uuid)
language sql stable as $$
    select id, team_id, live, task_id from ledger.transfer where closes
$$;
grant execute on function ledger.closings to modellix_app;

-- The number up to which no transfer can appear any more: all have been committed, or never will be.
create or replace function ledger.complete_up_to() returns bigint language sql stable as $$
    select up_to from ledger.checkpoint
$$;
grant execute on function ledger.complete_up_to to modellix_app;

-- Money in, or a correction when `p_micros` is negative. Fails on the balance's check when a correction
-- would take what is held or more than there is.
create or replace function ledger.credit(p_team bigint, p_live boolean, p_micros bigint, p_actor text, p_note text) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare available bigint;
begin
    update ledger.balance set posted = posted + p_micros where team_id = p_team and live = p_live
    returning posted - held into available;
    if not found then
        raise exception 'team % has no balance', p_team using errcode = 'no_data_found';
    end if;
    insert into ledger.transfer (team_id, live, kind, debit, credit, amount, actor, note)
    values (p_team, p_live,
        case when p_micros > 0 then 'topup' else 'adjust' end,
        case when p_micros > 0 then 'funding' else 'team' end,
        case when p_micros > 0 then 'team' else 'adjustment' end,
        abs(p_micros), p_actor, p_note);
    return available;
end
$$;
grant execute on function ledger.credit to modellix_app;

-- The number of about the first transfer at a moment. Numbers are given in the order of time, but for
-- transactions that ran side by side: whoever asks leaves a minute's margin. Some thirty look-ups by
-- number instead of one more index entry for each transfer.
create or replace function ledger.first_transfer_at(p_at timestamptz) returns bigint language plpgsql stable as $$
declare
    earlier bigint := 0;
    later bigint;
    middle bigint;
    found timestamptz;
begin
    select coalesce(max(id), 0) + 1 into later from ledger.transfer;
    while later - earlier > 1 loop
        middle := earlier + (later - earlier) / 2;
        select at into found from ledger.transfer where id >= middle order by id limit 1;
        if found < p_at then
            earlier := middle;
        else
            later := middle;
        end if;
    end loop;
    return later;
end
$$;
grant execute on function ledger.first_transfer_at to modellix_app;

-- What each team has set aside for unfinished tasks, by its balance.
create or replace function ledger.held() returns table (team_id bigint, live boolean, held bigint)
language sql stable as $$
    select team_id, live, held from ledger.balance
$$;
grant execute on function ledger.held to modellix_app;

-- Sets money aside for those of these tasks that were chosen. The caller holds the locks and has chosen what fits; the
-- guard in the WHERE and the table's check make a wrong choice fail as a whole rather than overdraw.
create or replace function ledger.hold(
    p_team bigint[], p_live boolean[], p_amount bigint[], p_task uuid[], p_key bigint[], p_actor text[],
    p_chosen boolean[]
) returns void language plpgsql security definer set search_path = pg_catalog as $$
declare
    wanted int;
    changed int;
begin
    with wish as (
        select team_id, live, sum(amount) as total
        from unnest(p_team, p_live, p_amount, p_chosen) as a (team_id, live, amount, chosen)
        where chosen group by team_id, live
    ), done as (
        update ledger.balance b set held = b.held + w.total from wish w
        where b.team_id = w.team_id and b.live = w.live and b.posted - b.held >= w.total
        returning 1
    )
    select (select count(*) from wish), (select count(*) from done) into wanted, changed;
    if wanted <> changed then
        raise exception 'a hold does not fit' using errcode = 'check_violation';
    end if;
    insert into ledger.transfer (team_id, live, kind, debit, credit, amount, task_id, key_id, actor)
    select team_id, live, 'hold', 'team', 'held', amount, task_id, key_id, actor
    from unnest(p_team, p_live, p_amount, p_task, p_key, p_actor, p_chosen)
        as a (team_id, live, amount, task_id, key_id, actor, chosen)
    where chosen;
end
$$;
grant execute on function ledger.hold(bigint[], boolean[], bigint[], uuid[], bigint[], text[], boolean[]) to modellix_app;

-- Every hold, with what was captured of it. A plain SELECT, so that the planner folds it into the calling query.
create or replace function ledger.holds() returns table (
    task_id uuid, team_id bigint, live boolean, key_id bigint, amount bigint, captured bigint, open boolean
) language sql stable as $$
    select h.task_id, h.team_id, h.live, h.key_id, h.amount, c.amount, e.task_id is null
    from ledger.transfer h
    left join ledger.transfer c on c.task_id = h.task_id and c.kind = 'capture'
    left join ledger.transfer e on e.task_id = h.task_id and e.closes
    where h.kind = 'hold'
$$;
grant execute on function ledger.holds to modellix_app;

-- Locks the balances of everyone concerned in one order, so that batches of several processes never
-- deadlock; all that follows in the transaction sees what the earlier holders of the locks left.
create or replace function ledger.lock(p_team bigint[], p_live boolean[]) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform 1 from ledger.balance b
    where (b.team_id, b.live) in (select * from unnest(p_team, p_live))
    order by b.team_id, b.live for no key update;
end
$$;
grant execute on function ledger.lock to modellix_app;

-- Creates the balances of a new team, both zero. Idempotent.
create or replace function ledger.open_team(p_team bigint) returns void
language sql security definer set search_path = pg_catalog as $$
    insert into ledger.balance (team_id, live) values (p_team, true), (p_team, false) on conflict do nothing
$$;
grant execute on function ledger.open_team to modellix_app;

-- Sets a balance to the sum of its transfers. The caller holds the lock of the ledger monitor. Fails on the checks of the
-- balance when that sum is below zero.
create or replace function ledger.rebuild_balance(p_team bigint, p_live boolean) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ledger.lock(array[p_team], array[p_live]);
    delete from ledger.anchor where team_id = p_team and live = p_live;
    delete from ledger.total where team_id = p_team and live = p_live;
    insert into ledger.total (team_id, live, posted, held)
    select team_id, live, sum(posted), sum(held) from ledger.effect
    where team_id = p_team and live = p_live and id <= (select up_to from ledger.checkpoint) group by team_id, live;
    update ledger.balance b set posted = s.posted, held = s.held
    from (select coalesce(sum(posted), 0) as posted, coalesce(sum(held), 0) as held from ledger.effect
          where team_id = p_team and live = p_live) s
    where b.team_id = p_team and b.live = p_live;
end
$$;
grant execute on function ledger.rebuild_balance to modellix_app;

-- Ends holds: captures `p_capture` of each and releases the rest, in one step. Raises when a hold is
-- missing, already ended (unique indexes) or smaller than the capture.
create or replace function ledger.settle(p_task uuid[], p_capture bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare found_holds int;
begin
    with ending as (
        select h.team_id, h.live, h.amount as held, a.capture, h.task_id, h.key_id, h.actor
        from unnest(p_task, p_capture) as a (task_id, capture)
        join ledger.transfer h on h.task_id = a.task_id and h.kind = 'hold'
    ), entries as (
        insert into ledger.transfer (team_id, live, kind, debit, credit, amount, task_id, key_id, actor, closes)
        select team_id, live, 'capture', 'held', 'revenue', capture, task_id, key_id, actor, true
        from ending where capture > 0
        union all
        select team_id, live, 'release', 'held', 'team', held - capture, task_id, key_id, actor, capture = 0
        from ending where held <> capture or capture = 0
    ), totals as (
        update ledger.balance b set posted = b.posted - t.captured, held = b.held - t.ended
        from (select team_id, live, sum(capture) as captured, sum(held) as ended from ending group by team_id, live) t
        where b.team_id = t.team_id and b.live = t.live
    )
    select count(*) from ending into found_holds;
    if found_holds <> cardinality(p_task) then
        raise exception 'a task without a hold' using errcode = 'no_data_found';
    end if;
end
$$;
grant execute on function ledger.settle to modellix_app;

-- When the last transfer up to a number was made; null where there is none.
create or replace function ledger.time_of(p_up_to bigint) returns timestamptz language sql stable as $$
    select at from ledger.transfer where id <= p_up_to order by id desc limit 1
$$;
grant execute on function ledger.time_of to modellix_app;

revoke execute on all functions in schema ledger from public;


-- ==================================================== pricing =====================================================
-- The operator's prices over the catalogue's list prices. Rows are only added: the newest of each (model, tier) counts,
-- and a task names the version it was quoted under.
create schema pricing;

create table pricing.price (
    version bigint generated always as identity,
    model text not null,                      -- provider/model; '*' for all models
    tier text not null,                       -- '*' for all tiers
    unit_micros bigint,                       -- price of one image or second instead of the list's
    margin_bp integer,                        -- on the list price, in hundredths of a percent
    created_at timestamptz not null default now(),
    created_by text not null,
    constraint price_pkey primary key (version),
    constraint price_check check (num_nonnulls(unit_micros, margin_bp) <= 1),
    constraint price_check1 check (model <> '*'::text or tier = '*'::text and unit_micros is null),
    constraint price_margin_bp_check check (margin_bp >= '-10000'::integer and margin_bp <= 1000000),
    constraint price_unit_micros_check check (unit_micros >= 0)
);
create index price_latest on pricing.price (model, tier, version desc);

grant usage on schema pricing to modellix_app;
grant select on pricing.price to modellix_app;

-- Versions must appear in their order, or a reader between two commits would see a newest version whose
-- predecessor turns up later: hence one writer at a time.
create or replace function pricing.set_price(p_model text, p_tier text, p_unit_micros bigint, p_margin_bp int, p_by text) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare made bigint;
begin
    perform pg_advisory_xact_lock(hashtext('pricing.price'));
    insert into pricing.price (model, tier, unit_micros, margin_bp, created_by)
    values (p_model, p_tier, p_unit_micros, p_margin_bp, p_by) returning version into made;
    return made;
end
$$;
grant execute on function pricing.set_price to modellix_app;

revoke execute on all functions in schema pricing from public;


-- ==================================================== results =====================================================
-- What is in the storage and when it goes: files of finished tasks, and media that came in bodies.
create schema results;

create table results.result (
    task_id uuid not null,
    team_id bigint not null,
    live boolean not null,
    resources text not null,                  -- JSON of the resources, as stored at success
    bytes bigint not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    deleting_until timestamptz,               -- a process is deleting the files and has until then
    constraint result_pkey primary key (task_id),
    constraint result_bytes_check check (bytes >= 0)
);
create index result_expiry on results.result (expires_at);

create table results.input (
    sha256 bytea not null,
    mime text not null,
    kind text not null,
    size bigint not null,
    expires_at timestamptz not null,
    deleting_until timestamptz,
    constraint input_pkey primary key (sha256),
    constraint input_kind_check check (kind = any (array['image'::text, 'video'::text, 'audio'::text])),
    constraint input_sha256_check check (length(sha256) = 32),
    constraint input_size_check check (size > 0)
);
create index input_expiry on results.input (expires_at);

-- Files that teams upload to use them as inputs. The bytes lie under their digest, as those that came in bodies do:
-- results.input says until when, and that is never before the last upload of the same bytes has expired.
create table results.upload (
    id uuid not null,
    team_id bigint not null,
    live boolean not null,
    sha256 bytea not null,
    kind text not null,
    format text not null,
    size bigint not null,
    width integer,
    height integer,
    duration_ms integer,
    filename text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint upload_pkey primary key (id),
    constraint upload_filename_check check (length(filename) >= 1 and length(filename) <= 255),
    constraint upload_kind_check check (kind = any (array['image'::text, 'video'::text, 'audio'::text])),
    constraint upload_sha256_check check (length(sha256) = 32),
    constraint upload_size_check check (size > 0)
);
create index upload_digest on results.upload (sha256);
create index upload_expiry on results.upload (expires_at);
create index upload_of_team on results.upload (team_id, live, id desc);

grant usage on schema results to modellix_app;
grant delete, insert, select, update on results.input to modellix_app;
grant delete, insert, select, update on results.result to modellix_app;
grant delete, insert, select, update on results.upload to modellix_app;

-- Adds a file unless the team would then keep more bytes than it may; those it keeps already, or null when it is in.
create or replace function results.add_upload(
    p_id uuid, p_team bigint, p_live boolean, p_sha256 bytea, p_kind text, p_format text, p_size bigint,
    p_width int, p_height int, p_duration_ms int, p_filename text, p_ttl_s int, p_quota bigint
) returns bigint language plpgsql as $$
declare
    kept bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended('results.upload', p_team));  -- one after another, or two fit at once
    select coalesce(sum(u.size), 0) into kept from results.upload u
    where u.team_id = p_team and u.live = p_live and u.expires_at > now();
    if kept + p_size > p_quota then
        return kept;
    end if;
    perform pg_advisory_xact_lock(hashtextextended(encode(p_sha256, 'hex'), 0));
    insert into results.upload (
        id, team_id, live, sha256, kind, format, size, width, height, duration_ms, filename, expires_at
    ) values (
        p_id, p_team, p_live, p_sha256, p_kind, p_format, p_size, p_width, p_height, p_duration_ms, p_filename,
        now() + make_interval(secs => p_ttl_s)
    );
    update results.input set expires_at = greatest(expires_at, now() + make_interval(secs => p_ttl_s))
    where sha256 = p_sha256;
    return null;
end
$$;
grant execute on function results.add_upload to modellix_app;

-- Forgets a team's file. Its bytes go when no task that was accepted until now can still need them.
create or replace function results.delete_upload(p_id uuid, p_team bigint, p_live boolean, p_needed_s int) returns boolean
language plpgsql as $$
declare
    digest bytea;
begin
    delete from results.upload
    where id = p_id and team_id = p_team and live = p_live and expires_at > now()
    returning sha256 into digest;
    if digest is null then
        return false;
    end if;
    -- Whoever adds the same bytes does so before this or sees what this leaves.
    perform pg_advisory_xact_lock(hashtextextended(encode(digest, 'hex'), 0));
    update results.input set expires_at = least(expires_at, now() + make_interval(secs => p_needed_s))
    where sha256 = digest
        and not exists (select from results.upload u where u.sha256 = digest and u.expires_at > now());
    return true;
end
$$;
grant execute on function results.delete_upload to modellix_app;

-- Called inside the transaction that settles the tasks.
create or replace function results.keep(
    p_task uuid[], p_team bigint[], p_live boolean[], p_resources text[], p_bytes bigint[], p_ttl_s int
) returns void language sql as $$
    insert into results.result (task_id, team_id, live, resources, bytes, expires_at)
    select task_id, team_id, live, resources, bytes, now() + make_interval(secs => p_ttl_s)
    from unnest(p_task, p_team, p_live, p_resources, p_bytes) as a (task_id, team_id, live, resources, bytes)
$$;
grant execute on function results.keep to modellix_app;

-- Results that have not expired, for a batch of status reads.
create or replace function results.of_tasks(p_task uuid[]) returns table (task_id uuid, resources text, expires_at timestamptz)
language sql stable as $$
    select r.task_id, r.resources, r.expires_at from results.result r
    where r.task_id = any (p_task) and r.expires_at > now()
$$;
grant execute on function results.of_tasks to modellix_app;

revoke execute on all functions in schema results from public;


-- =================================================== requestlog ===================================================
-- One row per API call, by day. No key: rows are only ever appended, read by team and time, and dropped a day at a
-- time.
create schema requestlog;

create table requestlog.entry (
    at timestamptz not null,
    team_id bigint,                           -- null: refused before it was known who calls
    live boolean,
    key_id bigint,
    method text not null,
    path text not null,                       -- without query
    status smallint not null,
    code text,                                -- the platform's error code
    latency_us integer not null,
    bytes_in integer not null,
    bytes_out integer not null,
    model text,
    task_id uuid,                             -- the task that the call was about
    cost_micros bigint,
    input text,                               -- redacted and cut
    answer text,                              -- redacted and cut
    client text,                              -- the caller's address, where it is kept
    request_id text,                          -- X-Request-Id of the answer
    user_id bigint,                           -- who made the call from a page of the console
    -- how many calls without a known caller this row stands for; null: it is one call
    calls integer,
    request_id_timed boolean,                 -- the request id begins with the time of the call, and is in no index
    constraint entry_calls_check check (calls > 0)
) partition by RANGE (at);
create index entry_about_task on only requestlog.entry (task_id) where task_id is not null;
create index entry_by_time on only requestlog.entry using brin (at);
create index entry_of_team on only requestlog.entry (team_id, live, at);
create index entry_of_untimed_request on only requestlog.entry (request_id) where request_id_timed is null;
create index entry_refused on only requestlog.entry (team_id, live, at) where status >= 400;

-- Rows that never reached the log.
create table requestlog.loss (
    at timestamptz not null default now(),
    rows bigint not null,
    reason text not null,
    constraint loss_rows_check check (rows > 0)
);

-- Calls that made a task. A row that was lost leaves the task without response time and sizes.
create table requestlog.submission (
    task_id uuid not null,
    team_id bigint not null,
    live boolean not null,
    path text not null,                       -- as called, without query
    latency_us integer not null,
    bytes_in integer not null,
    bytes_out integer not null,
    request_id text,
    -- the request id begins with the time of the task's id, and is in no index
    request_id_timed boolean
) partition by RANGE (task_id);
create index submission_of_task on only requestlog.submission (task_id);
create index submission_of_untimed_request on only requestlog.submission (request_id) where request_id_timed is null;

grant usage on schema requestlog to modellix_app;
grant insert, select on requestlog.entry to modellix_app;
grant insert, select on requestlog.loss to modellix_app;
grant insert, select on requestlog.submission to modellix_app;

-- Drops the days that ended more than `p_days` ago. Returns how many.
create or replace function requestlog.drop_old(p_days int) returns int
language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' as $$
declare
    dropped int := 0;
    old text;
begin
    if p_days < 1 then
        raise exception 'the log is kept for a day at least' using errcode = 'invalid_parameter_value';
    end if;
    perform pg_advisory_xact_lock(hashtext('requestlog.entry'));
    for old in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent in ('requestlog.entry'::regclass, 'requestlog.submission'::regclass)
            and c.relname ~ '^(entry|submission)_[0-9]{8}$' and to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - p_days
    loop
        execute format('drop table requestlog.%I', old);
        dropped := dropped + 1;
    end loop;
    delete from requestlog.loss where at < now() - make_interval(days => p_days);
    return dropped;
end
$$;
grant execute on function requestlog.drop_old to modellix_app;

-- Partitions from yesterday (clocks of several machines differ) to `p_days` from now. The application
-- may call it but may not change tables: hence SECURITY DEFINER. Returns how many were made.
create or replace function requestlog.ensure_partitions(p_days int) returns int
language plpgsql security definer set search_path = pg_catalog set timezone = 'UTC' as $$
declare
    made int := 0;
    today date := current_date;
    part record;
begin
    for part in
        select 'requestlog.' || t.name as parent, to_char(day, format('"%s_"YYYYMMDD', t.name)) as name,
            case t.name when 'entry' then day::text else requestlog.first_task_of(day)::text end as first,
            case t.name when 'entry' then (day + 1)::text else requestlog.first_task_of(day + 1)::text end as after
        from (select today + n as day from generate_series(-1, least(p_days, 60)) n) days,
            (values ('entry'), ('submission')) t (name)
    loop
        if to_regclass('requestlog.' || part.name) is null then
            perform pg_advisory_xact_lock(hashtext('requestlog.entry'));
            execute format('create table if not exists requestlog.%I partition of %s for values from (%L) to (%L)',
                part.name, part.parent, part.first, part.after);
            made := made + 1;
        end if;
    end loop;
    return made;
end
$$;
grant execute on function requestlog.ensure_partitions to modellix_app;

-- The smallest UUIDv7 of a day in UTC.
create or replace function requestlog.first_task_of(p_day date) returns uuid
language sql immutable set search_path = pg_catalog as $$
    select (lpad(to_hex((extract(epoch from p_day) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
grant execute on function requestlog.first_task_of to modellix_app;

-- Takes bodies and answers out of a team's calls before a time: only refused ones have them. The application may not
-- change the log: hence SECURITY DEFINER. Returns how many had one.
create or replace function requestlog.redact_inputs(p_team bigint, p_before timestamptz) returns int
language plpgsql security definer set search_path = pg_catalog as $$
declare
    redacted int;
begin
    update requestlog.entry set input = null, answer = null
    where team_id = p_team and live in (true, false) and status >= 400 and at < p_before
        and (input is not null or answer is not null);
    get diagnostics redacted = row_count;
    return redacted;
end
$$;
grant execute on function requestlog.redact_inputs to modellix_app;

revoke execute on all functions in schema requestlog from public;


-- ===================================================== vault ======================================================
-- The operator's accounts at the vendors. The key is AES-256-GCM under a key derived from the master key, bound to the
-- upstream and its base URL: a row moved or pointed elsewhere cannot be opened.
create schema vault;

create table vault.account (
    -- the name of the upstream for its account main, UPSTREAM/NAME for any other
    upstream text not null,
    base_url text not null,                   -- the only origin the key is ever sent to
    region text not null,
    key_ciphertext bytea,
    key_nonce bytea,
    key_id text,                              -- which master key it was encrypted under
    origins text[] not null default '{}'::text[],  -- further origins that results may come from
    polls_per_s double precision,             -- null: the vendor's usual limit
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    sealed bytea,
    id bigint generated always as identity,
    weight smallint not null default 1,       -- share of new submissions among the enabled accounts
    enabled boolean not null default true,    -- false: no new submissions; running tasks go on
    constraint account_pkey primary key (upstream),
    constraint account_in_one_form check ( case when sealed is null then num_nulls(key_ciphertext, key_nonce, key_id) = 0 else num_nonnulls(key_ciphertext, key_nonce, key_id) = 0 end),
    constraint account_key_nonce_check check (length(key_nonce) = 12),
    constraint account_polls_per_s_check check (polls_per_s > 0::double precision),
    constraint account_weight check (weight >= 1 and weight <= 100)
);

-- A value that every process opens when it starts, so that a wrong master key is noticed although nothing else has been
-- sealed yet.
create table vault.canary (
    only_one boolean not null default true,
    sealed bytea not null,
    constraint canary_pkey primary key (only_one),
    constraint canary_only_one_check check (only_one)
);

grant usage on schema vault to modellix_app;
grant insert, select, update on vault.account to modellix_app;
grant insert, select, update on vault.canary to modellix_app;

-- Tells processes to read the vendor accounts again.
create or replace function vault.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_vault', '');
    return null;
end
$$;

-- A program of version 0.1.0 may still store a key during an upgrade. It does not know `sealed`, so what
-- stands there is the former key: it goes.
create or replace function vault.prefer_new_key() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    if new.key_ciphertext is not null and new.key_ciphertext is distinct from old.key_ciphertext then
        new.sealed := null;
    end if;
    return new;
end
$$;

revoke execute on all functions in schema vault from public;

create or replace trigger announce after insert or delete or update on vault.account for each statement execute function vault.announce();
create or replace trigger prefer_new_key before update on vault.account for each row execute function vault.prefer_new_key();


-- ===================================================== tasks ======================================================
-- Tasks: the row of a task is its queue entry. Functions accept, move and settle, so that money, slots and state change
-- together or not at all.
create schema tasks;

create sequence tasks.queue_no;

create type tasks.attempt_record as (
    outcome text,
    status integer,
    answer text
);

create type tasks.wanted_move as (
    becomes text,
    due_in_s double precision,                -- gives the task back to the queue until then
    upstream text,                            -- of the attempt that begins
    ticket text,
    verdict text,
    note text,
    record tasks.attempt_record,
    account text,
    region text,
    vendor_model text,
    route bytea
);

create type tasks.wanted_ending as (
    capture bigint,
    resources text,
    bytes bigint,
    error_code text,
    error_message text,
    review text,
    record tasks.attempt_record
);

create type tasks.submission_batch as (
    task_id uuid[],
    team_id bigint[],
    live boolean[],
    key_id bigint[],
    model text[],
    params text[],
    price text[],
    quote bigint[],
    deadline_s integer[],
    slots integer[],
    idempotency_key text[],
    fingerprint text[],                       -- SHA-256 of model and parameters, base64
    wait boolean[],
    request_id text[],
    actor text[],
    webhook json[]                            -- {"url", "lane"} for webhooks.subscribe
);

create table tasks.task (
    id uuid not null,
    team_id bigint not null,
    live boolean not null,
    key_id bigint,                            -- the key that submitted it; null: a signed-in user did
    model text not null,
    params text not null,                     -- JSON; bytes a client sent stand in it as sha256:<digest>
    price text not null,                      -- the frozen quote, JSON
    quote bigint not null,                    -- what is held, micro-dollars
    state text not null default 'queued'::text,
    moves integer not null default 0,         -- number of state moves so far; the id of its events
    epoch integer not null default 0,         -- raised by every claim: a former owner's writes no longer match
    owner bigint,                             -- the worker that has it
    due_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    deadline_at timestamptz not null,
    attempt integer not null default 0,
    ticket text,                              -- the vendor's id of the current attempt
    verdict text,                             -- what the vendor delivered, JSON, while it is being stored
    finished_at timestamptz,
    captured bigint,
    error_code text,
    error_message text,
    -- 'asked': the team wants it canceled; 'refused': the vendor would not stop, the task runs on and is charged as
    -- delivered
    cancel text,
    -- how many workers died of handling it in the move deaths_at: a move starts a new count
    deaths integer not null default 0,
    deaths_at integer,
    queue_no bigint,                          -- order among tasks that wait for a slot; null: it has one, or has ended
    request_id text,                          -- X-Request-Id of the call that made it; null for tasks of 0.1.0
    actor text,                               -- who submitted it where no key did: user:<id>
    constraint task_pkey primary key (id),
    constraint task_cancel_check check (cancel = any (array['asked'::text, 'refused'::text])),
    constraint task_check check ((finished_at is not null) = (state = any (array['succeeded'::text, 'failed'::text]))),
    constraint task_check1 check ((error_code is not null) = (state = 'failed'::text)),
    constraint task_check2 check ((captured is not null) = (state = 'succeeded'::text)),
    constraint task_check3 check (ticket is null or (state <> all (array['queued'::text, 'preparing'::text, 'submitting'::text]))),
    constraint task_check4 check (verdict is not null or state <> 'storing'::text),
    constraint task_state_check check (state = any (array['queued'::text, 'preparing'::text, 'submitting'::text, 'running'::text, 'storing'::text, 'succeeded'::text, 'failed'::text])),
    constraint task_submitter check (key_id is not null or actor is not null)
) with (fillfactor=60);
create index task_due on tasks.task (due_at) where owner is null and finished_at is null;
create index task_ended on tasks.task (team_id, live, id) where finished_at is not null;
create index task_ended_of_key on tasks.task (team_id, live, key_id, id) where finished_at is not null;
create index task_ended_of_model on tasks.task (team_id, live, model, id) where finished_at is not null;
create index task_owned on tasks.task (owner) where owner is not null and finished_at is null;
create index task_unfinished on tasks.task (team_id, live, id) where finished_at is null;
create index task_waiting on tasks.task (team_id, live, queue_no) where queue_no is not null;
create index task_with_error on tasks.task (team_id, live, id) where error_code is not null;

-- Unfinished tasks of each team and mode. Changed only in the transaction that accepts or ends a task and only under
-- the lock on the team's balance, so it neither leaks nor grants one too many.
create table tasks.slot (
    team_id bigint not null,
    live boolean not null,
    running integer not null default 0,
    waiting integer not null default 0,       -- accepted tasks that wait for a slot
    constraint slot_pkey primary key (team_id, live),
    constraint slot_running_check check (running >= 0),
    constraint slot_waiting_check check (waiting >= 0)
) with (fillfactor=50);
create index slot_waiting on tasks.slot (team_id, live) where waiting > 0;

create table tasks.idempotency (
    team_id bigint not null,
    live boolean not null,
    key text not null,
    fingerprint bytea not null,
    task_id uuid not null,
    created_at timestamptz not null default now(),
    constraint idempotency_pkey primary key (team_id, live, key)
);
create index idempotency_age on tasks.idempotency (created_at);

-- The history of a task, for people. Accepting is not a row: the task says when it was created.
create table tasks.move (
    task_id uuid not null,
    seq integer not null,
    at timestamptz not null default now(),
    state text not null,
    worker bigint,
    note text,
    constraint move_pkey primary key (task_id, seq)
);

-- One paid submission. The row exists before the POST leaves.
create table tasks.attempt (
    task_id uuid not null,
    n integer not null,
    upstream text not null,
    intent_at timestamptz not null default now(),
    answered_at timestamptz,
    outcome text,                             -- accepted, done, refused, busy, not_sent, unknown
    ticket text,
    status integer,                           -- HTTP status of the answer
    answer text,                              -- the vendor's words, redacted and cut
    -- name of the vendor account; null, as the three that follow, of an attempt that 0.1.0 made
    account text,
    region text,                              -- of that account
    vendor_model text,                        -- what the vendor calls the model
    route bytea,                              -- of tasks.route
    constraint attempt_pkey primary key (task_id, n)
) with (fillfactor=70);

-- Something a person should look at: money or state that does not fit what we expected.
create table tasks.review (
    id bigint generated always as identity,
    at timestamptz not null default now(),
    task_id uuid,
    reason text not null,
    detail text not null,
    constraint review_pkey primary key (id)
);

-- A worker is alive while it holds the advisory lock of its id and its lease has not run out.
create table tasks.worker (
    id bigint generated always as identity,
    name text not null,
    started_at timestamptz not null default now(),
    lease_until timestamptz not null,
    constraint worker_pkey primary key (id)
);

-- Vendors that do not answer, as the workers found them: a row where something is wrong, or was. While a breaker is
-- open nothing is submitted there but, at each `probe_at`, one task of one worker.
create table tasks.breaker (
    upstream text not null,
    live boolean not null,
    kind text not null,
    opened_at timestamptz,                    -- null: closed
    probe_at timestamptz,                     -- when the next single try is due
    pause_s double precision not null default 0,
    reason text not null,
    changed_at timestamptz not null default now(),
    constraint breaker_pkey primary key (upstream, live),
    constraint breaker_kind_check check (kind = any (array['submit'::text, 'poll'::text]))
);

-- Tasks that ended here without their vendor's verdict, to be looked at twice more, the last time at or after last_at.
create table tasks.late_result (
    task_id uuid not null,
    attempt integer not null,
    ticket text not null,
    due_at timestamptz not null,
    last_at timestamptz not null,
    constraint late_result_pkey primary key (task_id)
);
create index late_result_due on tasks.late_result (due_at);

-- Routes that attempts were sent by
create table tasks.route (
    digest bytea not null,                    -- SHA-256 of the text
    route text not null,                      -- JSON of catalogue.Route
    first_at timestamptz not null default now(),
    constraint route_pkey primary key (digest)
);

create table tasks.inputs_redacted (
    team_id bigint not null,
    live boolean not null,
    up_to uuid not null,                      -- no task before it has an input
    constraint inputs_redacted_pkey primary key (team_id, live)
);

-- Tasks that ended on a day (UTC), in sums; what ended since is added when it is read.
create table tasks.usage_day (
    team_id bigint not null,
    live boolean not null,
    day date not null,
    model text not null,
    key_id bigint not null,                   -- the key that submitted them; 0: a signed-in user did
    actor text not null,                      -- the signed-in user that submitted them: user:<id>; empty: a key did
    bucket smallint not null,                 -- how long they took: see tasks.latency_bucket; -1: they failed
    succeeded bigint not null,
    failed bigint not null,
    charged bigint not null,                  -- micro-dollars
    constraint usage_day_pkey primary key (team_id, live, day, model, key_id, actor, bucket)
);

-- How far tasks.usage_day has come.
create table tasks.usage_mark (
    only_one boolean not null default true,
    up_to bigint not null default 0,          -- tasks that transfers up to this number closed are in tasks.usage_day
    constraint usage_mark_pkey primary key (only_one),
    constraint usage_mark_only_one_check check (only_one)
);

-- Words of up to 256 consecutive tasks. Later tasks than the last block are searched without.
create table tasks.search_block (
    team_id bigint not null,
    live boolean not null,
    first uuid not null,
    last uuid not null,
    words tsvector not null,                  -- of the inputs, without positions; and team:<id>:<mode>
    constraint search_block_pkey primary key (team_id, live, first)
);
create index search_block_words on tasks.search_block using gin (words);

-- What an operator decided about something to review, in words
create table tasks.review_decision (
    review_id bigint not null,
    at timestamptz not null default now(),
    decided_by text not null,                 -- as the audit log names who acts: user:3, admin:anna
    decision text not null,
    note text not null,
    constraint review_decision_pkey primary key (review_id),
    constraint review_decision_review_id_fkey foreign key (review_id) references tasks.review(id),
    constraint review_decision_decision_check check (length(decision) >= 1 and length(decision) <= 64),
    constraint review_decision_note_check check (length(note) <= 1000)
);

-- The same as tasks.usage_day by hours (UTC), without how long tasks took.
create table tasks.usage_hour (
    team_id bigint not null,
    live boolean not null,
    hour timestamptz not null,
    model text not null,
    key_id bigint not null,
    actor text not null,
    succeeded bigint not null,
    failed bigint not null,
    charged bigint not null,                  -- micro-dollars
    constraint usage_hour_pkey primary key (team_id, live, hour, model, key_id, actor)
);

-- A request that its client may send again, for 15 minutes: the idempotency key that all its attempts share.
create table tasks.sending (
    team_id bigint not null,
    live boolean not null,
    digest bytea not null,                    -- SHA-256 of key, route, model and parameters
    key text not null,                        -- its idempotency key
    tries integer not null,                   -- how often its client had sent it again at its latest attempt
    -- of its latest attempt: open (under way), lost (no answer went out), refused (no task, may be sent again),
    -- answered
    state text not null,
    changed_at timestamptz not null default now(),
    constraint sending_pkey primary key (team_id, live, digest, key),
    constraint sending_state_check check (state = any (array['open'::text, 'lost'::text, 'refused'::text, 'answered'::text]))
);
create index sending_age on tasks.sending (changed_at);

grant usage on schema tasks to modellix_app;
grant usage on sequence tasks.queue_no to modellix_app;
grant insert, select, update on tasks.attempt to modellix_app;
grant insert, select, update on tasks.breaker to modellix_app;
grant delete, insert, select, update on tasks.idempotency to modellix_app;
grant insert, select, update on tasks.inputs_redacted to modellix_app;
grant delete, insert, select, update on tasks.late_result to modellix_app;
grant insert, select on tasks.move to modellix_app;
grant insert, select on tasks.review to modellix_app;
grant insert, select on tasks.review_decision to modellix_app;
grant insert, select on tasks.route to modellix_app;
grant insert, select, update on tasks.search_block to modellix_app;
grant delete, insert, select, update on tasks.sending to modellix_app;
grant delete, insert, select, update on tasks.slot to modellix_app;
grant delete, insert, select, update on tasks.task to modellix_app;
grant select on tasks.usage_day to modellix_app;
grant select on tasks.usage_hour to modellix_app;
grant select on tasks.usage_mark to modellix_app;
grant delete, insert, select, update on tasks.worker to modellix_app;

-- Accepts a batch of submissions, a `tasks.submission_batch` in JSON, in one transaction; each succeeds or fails alone.
-- One is made by an API key or, where `key_id` is null, by the user that `actor` names, whose session was checked before.
-- Where `slots` is null the team's limit holds. Verdicts, in the order of the batch:
--   accepted      the task exists and its quote is held
--   replayed      the idempotency key named this task earlier, with the same request
--   mismatch      the idempotency key was used with another request
--   revoked       the API key is not active any more
--   insufficient  the quote does not fit into what is available, or into the budget of the key or of the team
--   concurrency   the team has as many unfinished tasks as it may
--   waiting       the same, but `wait` is set: the task exists, its quote is held, and `queue_positions` tells how many
--                 are before it, itself included. While some wait nobody gets a slot past them
--   full          as many tasks of the team wait as may
--   again         a neighbour in this batch stands in the way: ask again
-- Every batch gives the first affordable request of each team a final verdict, so asking again ends.
create or replace function tasks.accept(
    p_batch json, out verdicts text[], out task_ids uuid[], out queue_positions int[]
) language plpgsql as $$
declare
    batch tasks.submission_batch;
    size int;
    budgeted boolean;
    room_for_all boolean;
    left_of_team bigint[];
    left_of_key bigint[];
    asked_of_key bigint[];
    admitted boolean[];
begin
    batch := json_populate_record(null::tasks.submission_batch, p_batch);
    size := cardinality(batch.task_id);
    perform ledger.lock(batch.team_id, batch.live);
    budgeted := exists (select from budgets.in_force(batch.team_id));

    -- Usually every account has room for all that is asked of it. Nobody then stands in anybody's way, and judging one
    -- after the other would give the same verdicts in four times the time.
    if not budgeted and num_nonnulls(variadic batch.idempotency_key) = 0 then
        select bool_and(coalesce(
            a.plain and a.asked <= b.available and s.waiting = 0 and s.running + a.more <= a.slots, false))
        into room_for_all
        from (
            select team_id, live, sum(quote) as asked, count(*) as more, min(slots) as slots,
                bool_and(slots is not null and key_id in (select k from identity.active_keys(batch.key_id) k)) as plain
            from unnest(batch.team_id, batch.live, batch.key_id, batch.quote, batch.slots)
                as a (team_id, live, key_id, quote, slots)
            group by team_id, live
        ) a
        left join lateral ledger.available(a.team_id, a.live) b on true
        left join tasks.slot s on s.team_id = a.team_id and s.live = a.live;
    end if;

    if room_for_all then
        verdicts := array_fill('accepted'::text, array[size]);
        task_ids := batch.task_id;
        queue_positions := array_fill(null::int, array[size]);
        admitted := array_fill(true, array[size]);
    else
        if budgeted then
            select array_agg(u.of_team order by a.ord), array_agg(u.of_key order by a.ord),
                array_agg(a.asked order by a.ord)
            into left_of_team, left_of_key, asked_of_key
            from (select *, sum(quote) over (partition by key_id order by ord) as asked
                  from unnest(batch.team_id, batch.live, batch.key_id, batch.quote)
                      with ordinality as b (team_id, live, key_id, quote, ord)) a
            cross join lateral budgets.available(a.team_id, a.live, a.key_id) u;
        end if;

        with asked as (
            select a.ord, a.task_id, a.team_id, a.live, a.quote, a.wait,
                coalesce(a.slots, (select l.concurrency from limits.of_team(a.team_id) l)) as slots,
                decode(a.fingerprint, 'base64') as fingerprint,
                least(b.available, coalesce(left_of_team[a.ord], b.available)) as available, s.running, s.waiting,
                i.task_id as known, i.fingerprint as known_fingerprint,
                case when a.key_id is null then a.actor is not null else a.key_id in (
                    select k from identity.active_keys(batch.key_id) k) end as active,
                a.idempotency_key is not null and row_number() over (
                    partition by a.team_id, a.live, a.idempotency_key order by a.ord) > 1 as twin
            from unnest(batch.task_id, batch.team_id, batch.live, batch.key_id, batch.quote, batch.slots,
                    batch.idempotency_key, batch.fingerprint, batch.wait, batch.actor)
                with ordinality as a (task_id, team_id, live, key_id, quote, slots, idempotency_key, fingerprint, wait,
                    actor, ord)
            left join lateral ledger.available(a.team_id, a.live) b on true
            left join tasks.slot s using (team_id, live)
            left join tasks.idempotency i on i.team_id = a.team_id and i.live = a.live
                and i.key = a.idempotency_key
        ), sorted as (
            select *, active and known is null and not twin
                and quote <= least(coalesce(available, 0), left_of_key[ord]) as candidate
            from asked
        ), queued as (
            select *,
                sum(quote) filter (where candidate) over earlier_or_self as spent,
                count(*) filter (where candidate) over earlier_or_self as place,
                waiting + count(*) filter (where candidate and wait) over earlier_or_self as queue_position
            from sorted
            window earlier_or_self as (partition by team_id, live order by ord)
        ), judged as (
            select ord, coalesce(known, task_id) as task_id, queue_position, case
                when not active then 'revoked'
                when known is not null and known_fingerprint = fingerprint then 'replayed'
                when known is not null then 'mismatch'
                when twin then 'again'
                when not candidate then 'insufficient'
                when spent > available or asked_of_key[ord] > left_of_key[ord] then 'again'
                when waiting = 0 and running + place <= slots then 'accepted'
                when waiting = 0 and running < slots then 'again'
                when not wait then 'concurrency'
                when queue_position <= limits.most_waiting(team_id) then 'waiting'
                when waiting >= limits.most_waiting(team_id) then 'full'
                else 'again' end as verdict
            from queued
        )
        select array_agg(verdict order by ord), array_agg(task_id order by ord),
            array_agg(case when verdict = 'waiting' then queue_position end order by ord),
            array_agg(verdict in ('accepted', 'waiting') order by ord)
        into verdicts, task_ids, queue_positions, admitted from judged;
    end if;

    if not true = any (admitted) then
        return;
    end if;
    perform ledger.hold(batch.team_id, batch.live, batch.quote, batch.task_id, batch.key_id, batch.actor, admitted);
    if budgeted then
        perform budgets.hold(batch.team_id, batch.live, batch.quote, batch.task_id, batch.key_id, admitted);
    end if;

    update tasks.slot s set running = s.running + a.starting, waiting = s.waiting + a.waiting
    from (select team_id, live, count(*) filter (where verdict = 'accepted') as starting,
              count(*) filter (where verdict = 'waiting') as waiting
          from unnest(batch.team_id, batch.live, verdicts) as b (team_id, live, verdict)
          where verdict in ('accepted', 'waiting') group by team_id, live) a
    where s.team_id = a.team_id and s.live = a.live;

    insert into tasks.task
        (id, team_id, live, key_id, model, params, price, quote, due_at, deadline_at, queue_no, request_id, actor)
    select id, team_id, live, key_id, model, params, price, quote, case when verdict = 'waiting' then dies_at else now() end,
        dies_at, case when verdict = 'waiting' then nextval('tasks.queue_no') end, request_id, actor
    from unnest(batch.task_id, batch.team_id, batch.live, batch.key_id, batch.model, batch.params, batch.price,
            batch.quote, batch.deadline_s, batch.request_id, batch.actor, verdicts)
        as a (id, team_id, live, key_id, model, params, price, quote, deadline_s, request_id, actor, verdict)
    cross join lateral (select now() + make_interval(secs => deadline_s) as dies_at) d
    where verdict in ('accepted', 'waiting');

    if num_nonnulls(variadic batch.idempotency_key) > 0 then
        insert into tasks.idempotency (team_id, live, key, fingerprint, task_id)
        select team_id, live, key, decode(fingerprint, 'base64'), task_id
        from unnest(batch.team_id, batch.live, batch.idempotency_key, batch.fingerprint, batch.task_id, admitted)
            as a (team_id, live, key, fingerprint, task_id, chosen)
        where chosen and key is not null;
    end if;
    if num_nonnulls(variadic batch.webhook) > 0 then
        perform webhooks.subscribe(array_agg(task_id), array_agg(webhook))
        from unnest(batch.task_id, batch.webhook, admitted) as a (task_id, webhook, chosen)
        where chosen and webhook is not null having count(*) > 0;
    end if;
end
$$;
grant execute on function tasks.accept(json) to modellix_app;

-- Adds the tasks of up to p_most further transfers to tasks.usage_day and tasks.usage_hour; returns how many transfers it
-- has passed. One caller at a time, by the row of the mark.
create or replace function tasks.add_usage(p_most bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare
    known bigint;
    goal bigint;
begin
    select up_to into strict known from tasks.usage_mark for update;
    goal := least(ledger.complete_up_to(), known + p_most);
    if goal <= known then
        return 0;
    end if;
    with ended as materialized (
        select t.team_id, t.live, date_trunc('hour', t.finished_at, 'UTC') as hour, t.model,
            coalesce(t.key_id, 0) as key_id, coalesce(t.actor, '') as actor,
            case when t.state = 'succeeded' then tasks.latency_bucket(t.created_at, t.finished_at) else -1 end as bucket,
            count(*) filter (where t.state = 'succeeded') as succeeded,
            count(*) filter (where t.state <> 'succeeded') as failed, coalesce(sum(t.captured), 0)::bigint as charged
        from ledger.closings() c join tasks.task t on t.id = c.task_id
        where c.id > known and c.id <= goal and t.finished_at is not null
        group by 1, 2, 3, 4, 5, 6, 7
    ), days as (
        insert into tasks.usage_day as u (team_id, live, day, model, key_id, actor, bucket, succeeded, failed, charged)
        select team_id, live, (hour at time zone 'UTC')::date, model, key_id, actor, bucket,
            sum(succeeded), sum(failed), sum(charged)
        from ended group by 1, 2, 3, 4, 5, 6, 7
        on conflict (team_id, live, day, model, key_id, actor, bucket) do update set
            succeeded = u.succeeded + excluded.succeeded, failed = u.failed + excluded.failed,
            charged = u.charged + excluded.charged
    )
    insert into tasks.usage_hour as u (team_id, live, hour, model, key_id, actor, succeeded, failed, charged)
    select team_id, live, hour, model, key_id, actor, sum(succeeded), sum(failed), sum(charged)
    from ended group by 1, 2, 3, 4, 5, 6
    on conflict (team_id, live, hour, model, key_id, actor) do update set
        succeeded = u.succeeded + excluded.succeeded, failed = u.failed + excluded.failed,
        charged = u.charged + excluded.charged;
    update tasks.usage_mark set up_to = goal;
    return goal - known;
end
$$;
grant execute on function tasks.add_usage to modellix_app;

-- Moves tasks between unfinished states, each only if it is still in the state and epoch its owner saw: p_moves are a
-- `tasks.wanted_move` for each of them. Returns the ordinals that moved.
create or replace function tasks.advance(p_worker bigint, p_task uuid[], p_epoch int[], p_was text[], p_moves json)
returns int[] language plpgsql as $$
declare
    wanted tasks.wanted_move[] := array(select m from json_populate_recordset(null::tasks.wanted_move, p_moves) m);
    moved int[];
begin
    with wish as (
        select * from unnest(p_task, p_epoch, p_was, wanted) with ordinality as w (task_id, epoch, was)
    ), changed as (
        update tasks.task t set
            state = w.becomes,
            moves = t.moves + 1,
            attempt = t.attempt + (w.becomes = 'submitting')::int,
            ticket = case when w.becomes in ('queued', 'preparing', 'submitting') then null else coalesce(w.ticket, t.ticket) end,
            verdict = coalesce(w.verdict, t.verdict),
            owner = case when w.due_in_s is null then t.owner end,
            due_at = case when w.due_in_s is null then t.due_at else now() + make_interval(secs => w.due_in_s) end
        from wish w
        where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was and t.owner = p_worker
        returning t.id, t.moves, t.attempt, w.*
    ), told as (
        insert into tasks.move (task_id, seq, state, worker, note)
        select id, moves, becomes, p_worker, note from changed
    ), intended as (
        insert into tasks.attempt (task_id, n, upstream, account, region, vendor_model, route)
        select id, attempt, upstream, account, region, vendor_model, route from changed where becomes = 'submitting'
    ), answered as (
        update tasks.attempt a set answered_at = now(), ticket = c.ticket,
            outcome = (c.record).outcome, status = (c.record).status, answer = (c.record).answer
        from changed c where c.was = 'submitting' and a.task_id = c.id and a.n = c.attempt
    )
    select coalesce(array_agg(ordinality), '{}') into moved from changed;

    -- A move whose answer was lost is asked for again. In one epoch a task enters a state once, so its
    -- being there, still with the same owner, is this very move.
    if cardinality(moved) < cardinality(p_task) then
        select moved || coalesce(array_agg(w.ordinality), '{}') into moved
        from unnest(p_task, p_epoch, p_was, wanted) with ordinality as w (task_id, epoch, was)
        join tasks.task t on t.id = w.task_id
        where t.epoch = w.epoch and t.owner = p_worker and t.state = w.becomes and w.was <> w.becomes
            and w.ordinality <> all (moved);
    end if;
    return moved;
end
$$;
grant execute on function tasks.advance(bigint, uuid[], int[], text[], json) to modellix_app;

-- Every batch of moves announces its tasks once, to whoever follows them. A trigger and not a line in the
-- functions that move tasks: whatever else writes a move, in this version or an older one, is heard too.
-- The payload is the ids in hex, 32 characters each; a notice has room for 249. A larger batch sends an
-- empty one, at which followers look at all tasks they wait for. A notice is a hint: what is lost with a
-- broken connection is found by looking.
create or replace function tasks.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
declare
    names text;
begin
    select string_agg(distinct replace(m.task_id::text, '-', ''), '') into names from moved m;
    if names is not null then
        perform pg_notify('modellix_moves', case when length(names) < 8000 then names else '' end);
    end if;
    return null;
end
$$;

-- Each time places in a team's queue have moved up, whoever follows its tasks is told: `<team>:<live|test>`. A trigger,
-- so that it is heard whichever version starts or ends a task; a hint, as every notice.
create or replace function tasks.announce_queue_positions() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_queue_positions', new.team_id || case when new.live then ':live' else ':test' end);
    return null;
end
$$;

-- The idempotency key of an attempt to send a request, and its number. `p_try` is how often the client says that it has
-- sent the request again: 0 begins a new one with `p_key`; more continues an earlier one of the last 15 minutes; null,
-- from a client that does not count, continues only one that got no answer. Equal requests are told apart by how often
-- each was sent; their attempts may change places, which their clients cannot tell. So there are never more keys than
-- requests that were begun (docs/adr/0031).
create or replace function tasks.begin_sending(
    p_team bigint, p_live boolean, p_digest bytea, p_key text, p_try int, out key text, out tries int
) language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(encode(p_digest, 'hex'), p_team));  -- or two attempts take one place
    if p_try is null or p_try > 0 then
        select s.key, coalesce(p_try, s.tries + 1) into key, tries
        from tasks.sending s
        where s.team_id = p_team and s.live = p_live and s.digest = p_digest
            and s.changed_at > now() - interval '15 minutes'
            and (p_try is not null or s.state in ('lost', 'refused'))
        order by coalesce(s.tries < p_try, true) desc,
            case when s.state = 'lost' then 0
                when s.state = 'refused' and s.changed_at > now() - interval '130 seconds' then 1  -- clients wait 120 s
                when s.state = 'open' then 2
                when s.state = 'answered' then 3  -- and the answer was lost
                else 4 end,
            case when s.state = 'answered' then now() - s.changed_at else s.changed_at - now() end
        limit 1;
        if found then
            update tasks.sending s set tries = begin_sending.tries, state = 'open', changed_at = now()
            where s.team_id = p_team and s.live = p_live and s.digest = p_digest and s.key = begin_sending.key;
            return;
        end if;
    end if;
    key := p_key;
    tries := coalesce(p_try, 0);
    insert into tasks.sending (team_id, live, digest, key, tries, state)
    values (p_team, p_live, p_digest, key, tries, 'open');
end
$$;
grant execute on function tasks.begin_sending to modellix_app;

-- Leases up to p_limit tasks to a worker: those that are due and free, then those of dead workers.
create or replace function tasks.claim(p_worker bigint, p_limit int) returns setof tasks.task language sql as $$
    update tasks.task t set owner = p_worker, epoch = t.epoch + 1
    where t.id in (
        select id from tasks.task
        where owner is null and finished_at is null and due_at <= now()
        order by due_at limit p_limit for update skip locked)
    returning t.*
$$;
grant execute on function tasks.claim to modellix_app;

-- Whatever frees a slot starts the next waiting task in the same transaction.
create or replace function tasks.hand_over_slot() returns trigger language plpgsql as $$
begin
    perform tasks.start_waiting(new.team_id, new.live);
    return null;
end
$$;

-- How long a task took, from accept to its end, in steps of a fifth: bucket n is 1.2^n to 1.2^(n+1) milliseconds.
create or replace function tasks.latency_bucket(p_from timestamptz, p_to timestamptz) returns smallint
language sql immutable as $$
    select floor(ln(greatest(extract(epoch from p_to - p_from) * 1000, 1)) / ln(1.2))::smallint
$$;
grant execute on function tasks.latency_bucket to modellix_app;

-- Counts one more; tells the count, or null when the task has ended meanwhile.
create or replace function tasks.note_death(p_task uuid) returns int language sql as $$
    update tasks.task set deaths = case when deaths_at = moves then deaths + 1 else 1 end, deaths_at = moves
    where id = p_task and finished_at is null returning deaths
$$;
grant execute on function tasks.note_death to modellix_app;

-- Creates the slot counters of a new team. Idempotent.
create or replace function tasks.open_team(p_team bigint) returns void language sql as $$
    insert into tasks.slot (team_id, live) values (p_team, true), (p_team, false) on conflict do nothing
$$;
grant execute on function tasks.open_team to modellix_app;

-- Of 0.1.0, which has no waiting, no links and tells no request: to be dropped in the release after the next.
create or replace function tasks.accept(
    p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_slots int[], p_idempotency text[], p_fingerprint bytea[],
    out verdicts text[], out task_ids uuid[]
) language sql as $$
    select a.verdicts, a.task_ids
    from tasks.accept(json_build_object(
        'task_id', p_task, 'team_id', p_team, 'live', p_live, 'key_id', p_key, 'model', p_model, 'params', p_params,
        'price', p_price, 'quote', p_quote, 'deadline_s', p_deadline_s, 'slots', p_slots, 'idempotency_key', p_idempotency,
        'fingerprint', array(select encode(f, 'base64') from unnest(p_fingerprint) f),
        'wait', array_fill(false, array[cardinality(p_task)]))) a
$$;
grant execute on function tasks.accept(
    uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], int[], text[], bytea[]
) to modellix_app;

-- Of 0.1.0: to be dropped in the release after the next.
create or replace function tasks.advance(
    p_task uuid[], p_epoch int[], p_from text[], p_to text[], p_worker bigint, p_due_in_s double precision[],
    p_upstream text[], p_ticket text[], p_verdict text[], p_outcome text[], p_status int[], p_answer text[], p_note text[]
) returns int[] language sql as $$
    select tasks.advance(p_worker, p_task, p_epoch, p_from, (
        select json_agg(json_build_object('becomes', becomes, 'due_in_s', due_in_s, 'upstream', upstream,
            'ticket', ticket, 'verdict', verdict, 'note', note,
            'record', json_build_object('outcome', outcome, 'status', status, 'answer', answer)) order by ord)
        from unnest(p_to, p_due_in_s, p_upstream, p_ticket, p_verdict, p_outcome, p_status, p_answer, p_note)
            with ordinality as m (becomes, due_in_s, upstream, ticket, verdict, outcome, status, answer, note, ord)
    ))
$$;
grant execute on function tasks.advance(
    uuid[], int[], text[], text[], bigint, double precision[], text[], text[], text[], text[], int[], text[], text[]
) to modellix_app;

-- Of 0.1.0: to be dropped in the release after the next.
create or replace function tasks.bury_the_dead(p_lock_class int, p_grace_s double precision) returns int language sql as $$
    select tasks.release_dead_workers(p_lock_class, p_grace_s)
$$;
grant execute on function tasks.bury_the_dead to modellix_app;

-- Of 0.1.0: to be dropped in the release after the next.
create or replace function tasks.settle(
    p_task uuid[], p_epoch int[], p_from text[], p_team bigint[], p_live boolean[], p_worker bigint,
    p_capture bigint[], p_resources text[], p_bytes bigint[], p_ttl_s int, p_error_code text[], p_error_message text[],
    p_outcome text[], p_status int[], p_answer text[], p_review text[]
) returns int[] language sql as $$
    select tasks.settle(p_worker, p_task, p_epoch, p_from, p_team, p_live, (
        select json_agg(json_build_object('capture', capture, 'resources', resources, 'bytes', bytes,
            'error_code', error_code, 'error_message', error_message, 'review', review,
            'record', json_build_object('outcome', outcome, 'status', status, 'answer', answer)) order by ord)
        from unnest(p_capture, p_resources, p_bytes, p_error_code, p_error_message, p_outcome, p_status, p_answer, p_review)
            with ordinality
            as e (capture, resources, bytes, error_code, error_message, outcome, status, answer, review, ord)
    ), p_ttl_s)
$$;
grant execute on function tasks.settle(
    uuid[], int[], text[], bigint[], boolean[], bigint, bigint[], text[], bigint[], int, text[], text[], text[], int[],
    text[], text[]
) to modellix_app;

-- How many wait up to a number, itself included: 1 is the next to start.
create or replace function tasks.queue_position(p_team bigint, p_live boolean, p_queue_no bigint) returns int
language sql stable as $$
    select count(*)::int from tasks.task where team_id = p_team and live = p_live and queue_no <= p_queue_no
$$;
grant execute on function tasks.queue_position to modellix_app;

-- Frees the tasks of workers that are gone, and tells how many. A worker whose advisory lock is free
-- has lost its process or its connection: what it only watched (queued, preparing, running, storing) is
-- handed over at once. A submission may still be on its way, so `submitting` waits for the lease, and
-- only then ends as an unknown outcome, by whoever claims it. A lease that ran out frees everything,
-- lock or no lock: that worker is frozen. A fresh database start has freed every lock, which says
-- nothing about the workers, so nobody is declared dead in its first seconds.
create or replace function tasks.release_dead_workers(p_lock_class int, p_grace_s double precision) returns int
language plpgsql as $$
declare
    freed int := 0;
begin
    if pg_postmaster_start_time() > now() - make_interval(secs => p_grace_s) then
        return 0;
    end if;
    with suspect as (
        select w.id, w.lease_until < now() as lapsed from tasks.worker w
        where w.lease_until < now() or not exists (
            select 1 from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database()
            where l.locktype = 'advisory' and l.objsubid = 2
                and l.classid::bigint = p_lock_class and l.objid::bigint = w.id)
    ), released as (
        update tasks.task t set owner = null, due_at = now()
        where t.id in (
            select t.id from tasks.task t join suspect s on t.owner = s.id
            where t.finished_at is null and (s.lapsed or t.state <> 'submitting')
            for update of t skip locked)
        returning 1
    )
    select count(*) from released into freed;
    delete from tasks.worker w
    where w.lease_until < now() - interval '1 minute'
        and not exists (select 1 from tasks.task t where t.owner = w.id and t.finished_at is null);
    return freed;
end
$$;
grant execute on function tasks.release_dead_workers to modellix_app;

-- Ends tasks: state, money, slot, result and history in one transaction, each only if the task is still in the state and
-- epoch its owner saw: p_endings are a `tasks.wanted_ending` for each of them. A task that ends while it waits gives back
-- its place in the queue and no slot. Returns the ordinals that ended; for the others nothing happened.
create or replace function tasks.settle(
    p_worker bigint, p_task uuid[], p_epoch int[], p_was text[], p_team bigint[], p_live boolean[], p_endings json,
    p_ttl_s int
) returns int[] language plpgsql as $$
declare
    wanted tasks.wanted_ending[] := array(select e from json_populate_recordset(null::tasks.wanted_ending, p_endings) e);
    ended int[];
    waited int[];
begin
    perform ledger.lock(p_team, p_live);

    with wish as (
        select * from unnest(p_task, p_epoch, p_was, wanted) with ordinality as w (task_id, epoch, was)
    ), changed as (
        update tasks.task t set
            state = case when w.error_code is null then 'succeeded' else 'failed' end,
            moves = t.moves + 1, owner = null, verdict = null, finished_at = now(),
            captured = case when w.error_code is null then coalesce(w.capture, 0) end,
            error_code = w.error_code, error_message = left(w.error_message, 500)
        from wish w
        where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was
            and t.owner is not distinct from p_worker
        returning t.id, t.moves, t.state, t.attempt, t.queue_no is not null as waited, w.*
    ), told as (
        insert into tasks.move (task_id, seq, state, worker, note)
        select id, moves, state, p_worker, error_code from changed
    ), answered as (
        update tasks.attempt a set answered_at = now(),
            outcome = (c.record).outcome, status = (c.record).status, answer = (c.record).answer
        from changed c where c.was = 'submitting' and a.task_id = c.id and a.n = c.attempt
    )
    select coalesce(array_agg(ordinality), '{}'), coalesce(array_agg(ordinality) filter (where changed.waited), '{}')
    into ended, waited from changed;

    if ended <> '{}' then
        perform ledger.settle(array_agg(p_task[i]), array_agg(coalesce(wanted[i].capture, 0))) from unnest(ended) as i;
        if exists (select from budgets.charged(p_task)) then
            perform budgets.settle(array_agg(p_task[i]), array_agg(coalesce(wanted[i].capture, 0))) from unnest(ended) as i;
        end if;

        perform results.keep(array_agg(p_task[i]), array_agg(p_team[i]), array_agg(p_live[i]),
            array_agg(wanted[i].resources), array_agg(wanted[i].bytes), p_ttl_s)
        from unnest(ended) as i where wanted[i].resources is not null having count(*) > 0;

        if waited <> '{}' then
            update tasks.task t set queue_no = null from unnest(waited) as i where t.id = p_task[i];
        end if;

        update tasks.slot s set running = s.running - e.had_slot, waiting = s.waiting - e.waited
        from (select p_team[i] as team_id, p_live[i] as live,
                  count(*) filter (where i <> all (waited)) as had_slot, count(*) filter (where i = any (waited)) as waited
              from unnest(ended) as i group by 1, 2) e
        where s.team_id = e.team_id and s.live = e.live;

        insert into tasks.review (task_id, reason, detail)
        select p_task[i], split_part(wanted[i].review, ': ', 1), wanted[i].review from unnest(ended) as i
        where wanted[i].review is not null;
    end if;
    return ended;
end
$$;
grant execute on function tasks.settle(bigint, uuid[], int[], text[], bigint[], boolean[], json, int) to modellix_app;

-- Starts as many waiting tasks of a team as have a slot, and tells how many. The caller holds the lock on the balance.
create or replace function tasks.start_waiting(p_team bigint, p_live boolean) returns int language plpgsql as $$
declare
    free int;
    started int;
begin
    select l.concurrency - s.running into free from tasks.slot s cross join limits.of_team(p_team) l
    where s.team_id = p_team and s.live = p_live;
    if free <= 0 then
        return 0;
    end if;
    with next as (
        select id from tasks.task
        where team_id = p_team and live = p_live and queue_no is not null and owner is null
        order by queue_no limit free for update skip locked
    ), changed as (
        update tasks.task t set queue_no = null, due_at = now(), moves = t.moves + 1
        from next where t.id = next.id returning t.id, t.moves
    ), told as (
        insert into tasks.move (task_id, seq, state, note) select id, moves, 'queued', 'has a slot' from changed
    )
    select count(*) into started from changed;
    if started > 0 then
        update tasks.slot set running = running + started, waiting = waiting - started
        where team_id = p_team and live = p_live;
        perform pg_notify('modellix_tasks', '');
    end if;
    return started;
end
$$;
grant execute on function tasks.start_waiting to modellix_app;

-- For a limit that was raised: no task ends then that could start the waiting ones.
create or replace function tasks.start_waiting_of_all() returns int language plpgsql as $$
declare
    found record;
    started int := 0;
begin
    perform ledger.lock(array_agg(team_id), array_agg(live)) from tasks.slot where waiting > 0 having count(*) > 0;
    for found in select team_id, live from tasks.slot where waiting > 0 order by team_id, live loop
        started := started + tasks.start_waiting(found.team_id, found.live);
    end loop;
    return started;
end
$$;
grant execute on function tasks.start_waiting_of_all to modellix_app;

-- Ended tasks are handed to the webhooks in the transaction that ends them, whatever ends them.
create or replace function tasks.tell_webhooks() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform webhooks.enqueue(array_agg(t.id), array_agg(t.team_id), array_agg(t.live), array_agg(
        case when t.error_code is null then 'prediction.task.succeeded'
            when t.error_code = 'canceled' then 'prediction.task.canceled'
            else 'prediction.task.failed' end))
    from moved m join tasks.task t on t.id = m.task_id
    where m.state in ('succeeded', 'failed') having count(*) > 0;
    return null;
end
$$;

revoke execute on all functions in schema tasks from public;

create or replace trigger announce after insert on tasks.move referencing new table as moved for each statement execute function tasks.announce();
create or replace trigger tell_webhooks after insert on tasks.move referencing new table as moved for each statement execute function tasks.tell_webhooks();
create or replace trigger announce_queue_positions after update on tasks.slot for each row when (new.waiting < old.waiting) execute function tasks.announce_queue_positions();
create or replace trigger hand_over_slot after update on tasks.slot for each row when (new.running < old.running and new.waiting > 0) execute function tasks.hand_over_slot();


-- ==================================================== webhooks ====================================================
-- Where teams want to be told of the end of their tasks, and what was sent there. A message is written in the
-- transaction that ends its task (outbox).
create schema webhooks;

create table webhooks.endpoint (
    id uuid not null,
    team_id bigint not null,
    live boolean not null,
    url text not null,
    -- team, mode and origin: messages of one lane wait for each other, no others
    lane text not null,
    created_at timestamptz not null default now(),
    failing_since timestamptz,                -- of the first failure after the last success
    disabled_at timestamptz,
    disabled_why text,
    constraint endpoint_pkey primary key (id),
    constraint endpoint_check check ((disabled_at is null) = (disabled_why is null))
);
create index endpoint_of_team on webhooks.endpoint (team_id, live);

-- Signing secrets, sealed. While a replaced one still signs, a receiver may know either.
create table webhooks.secret (
    id uuid not null,
    team_id bigint not null,
    live boolean not null,
    endpoint_id uuid,                         -- null: the team's, for links given with a task
    sealed bytea not null,
    created_at timestamptz not null default now(),
    signs_until timestamptz,                  -- null: the current one
    constraint secret_pkey primary key (id),
    constraint secret_endpoint_id_fkey foreign key (endpoint_id) references webhooks.endpoint(id) on delete cascade
);
create unique index secret_of_endpoint on webhooks.secret (endpoint_id) where signs_until is null;
create unique index secret_of_team on webhooks.secret (team_id, live) where endpoint_id is null and signs_until is null;
create index secret_old on webhooks.secret (endpoint_id, team_id);

-- A link given with one task. Written in the transaction that accepts the task, deleted when it ends.
create table webhooks.subscription (
    task_id uuid not null,
    url text not null,
    lane text not null,
    created_at timestamptz not null default now(),
    constraint subscription_pkey primary key (task_id)
);

create table webhooks.message (
    id uuid not null default gen_random_uuid(),
    task_id uuid,                             -- null: an alert, whose payload is written with it
    team_id bigint not null,
    live boolean not null,
    endpoint_id uuid,
    url text,                                 -- where no endpoint says it
    lane text not null,
    event text not null,
    payload text,                             -- the exact body, once it was sent in vain
    state text not null default 'waiting'::text,
    due_at timestamptz not null default now(),
    lease integer not null default 0,         -- raised by every lease: a former holder's report no longer matches
    tries integer not null default 0,         -- since it was last put up for delivery; decides when to try again
    attempts integer not null default 0,      -- in all
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    constraint message_pkey primary key (id),
    constraint message_endpoint_id_fkey foreign key (endpoint_id) references webhooks.endpoint(id) on delete cascade,
    constraint message_check check ((endpoint_id is null) = (url is not null)),
    constraint message_check1 check ((ended_at is null) = (state = 'waiting'::text)),
    constraint message_state_check check (state = any (array['waiting'::text, 'delivered'::text, 'failed'::text]))
) with (fillfactor=80);
create index message_age on webhooks.message (ended_at) where ended_at is not null;
create index message_due on webhooks.message (lane, due_at) where state = 'waiting'::text;
create index message_failed on webhooks.message (team_id, live, created_at desc) where state = 'failed'::text;
create index message_listing on webhooks.message (team_id, live, created_at desc);
create index message_of_endpoint on webhooks.message (endpoint_id, created_at desc) where endpoint_id is not null;

create table webhooks.delivery_attempt (
    message_id uuid not null,
    n integer not null,
    at timestamptz not null default now(),
    status integer,                           -- HTTP status of the answer, if there was one
    error text,
    took_ms integer not null,
    constraint delivery_attempt_pkey primary key (message_id, n),
    constraint delivery_attempt_message_id_fkey foreign key (message_id) references webhooks.message(id) on delete cascade
);

-- What an endpoint is told beside ended tasks; without a row, nothing.
create table webhooks.alert_choice (
    endpoint_id uuid not null,
    balance_below bigint,                     -- micro-dollars: told when less is available; null: not told of it
    budgets boolean not null,                 -- whether it is told of budgets
    low_since timestamptz,                    -- told then that the balance is low, and it has not recovered since
    constraint alert_choice_pkey primary key (endpoint_id),
    constraint alert_choice_endpoint_id_fkey foreign key (endpoint_id) references webhooks.endpoint(id) on delete cascade,
    constraint alert_choice_balance_below_check check (balance_below > 0)
);

grant usage on schema webhooks to modellix_app;
grant delete, insert, select, update on webhooks.alert_choice to modellix_app;
grant delete, insert, select, update on webhooks.delivery_attempt to modellix_app;
grant delete, insert, select, update on webhooks.endpoint to modellix_app;
grant delete, insert, select, update on webhooks.message to modellix_app;
grant delete, insert, select, update on webhooks.secret to modellix_app;
grant delete, insert, select, update on webhooks.subscription to modellix_app;

-- Puts up a message for each endpoint of the team, and one for the link given with the task. Called inside
-- the transaction that ends the tasks.
create or replace function webhooks.enqueue(p_task uuid[], p_team bigint[], p_live boolean[], p_event text[]) returns void
language plpgsql as $$
begin
    with ended as (
        select * from unnest(p_task, p_team, p_live, p_event) as a (task_id, team_id, live, event)
    ), asked as (
        delete from webhooks.subscription s using ended e where s.task_id = e.task_id
        returning e.task_id, e.team_id, e.live, e.event, s.url, s.lane
    )
    insert into webhooks.message (task_id, team_id, live, endpoint_id, url, lane, event)
    select e.task_id, e.team_id, e.live, p.id, null, p.lane, e.event
    from ended e join webhooks.endpoint p on p.team_id = e.team_id and p.live = e.live and p.disabled_at is null
    union all
    select task_id, team_id, live, null, url, lane, event from asked;
    if found then
        perform pg_notify('modellix_webhooks', '');
    end if;
end
$$;
grant execute on function webhooks.enqueue to modellix_app;

-- Leases up to p_limit messages that are due, from every lane as many as it has room for, so that a lane
-- with a long queue is passed by. A lease ends by itself: a message nobody reports on is due again.
create or replace function webhooks.lease(
    p_lane text[], p_room int[], p_usual_room int, p_full_team bigint[], p_limit int, p_lease_s double precision
) returns setof webhooks.message language sql as $$
    with recursive lanes as (
        (select lane from webhooks.message where state = 'waiting' order by lane limit 1)
        union all
        select (select m.lane from webhooks.message m where m.state = 'waiting' and m.lane > l.lane order by m.lane limit 1)
        from lanes l where l.lane is not null
    ), candidate as materialized (
        select d.id from lanes l
        left join unnest(p_lane, p_room) as known (lane, room) on known.lane = l.lane
        cross join lateral (
            select m.id, m.due_at from webhooks.message m
            where m.state = 'waiting' and m.lane = l.lane and m.due_at <= now()
            order by m.due_at limit coalesce(known.room, p_usual_room)) d
        where l.lane is not null and split_part(l.lane, ':', 1)::bigint <> all (p_full_team)
        order by d.due_at limit p_limit
    )
    update webhooks.message m set lease = m.lease + 1, due_at = now() + make_interval(secs => p_lease_s)
    where m.id in (
        select w.id from webhooks.message w
        where w.id in (select id from candidate) and w.state = 'waiting' and w.due_at <= now()
        for update skip locked)
    returning m.*
$$;
grant execute on function webhooks.lease to modellix_app;

-- As `write_reports`, under the locks of the endpoints concerned. Who changes several messages of an endpoint and waits
-- for them locks the endpoint first: reports, changes, replays and a deletion then wait for one another in a line, and
-- never in a ring. (Leases and the forgetting of old messages pass over what is locked.)
create or replace function webhooks.report(
    p_message uuid[], p_lease int[], p_delivered boolean[], p_again_in_s double precision[], p_status int[],
    p_error text[], p_took_ms int[], p_payload text[], p_disable text[]
) returns setof webhooks.endpoint language plpgsql as $$
begin
    perform from webhooks.endpoint
    where id in (select endpoint_id from webhooks.message where id = any (p_message))
    order by id for no key update;
    return query select * from webhooks.write_reports(
        p_message, p_lease, p_delivered, p_again_in_s, p_status, p_error, p_took_ms, p_payload, p_disable);
end
$$;
grant execute on function webhooks.report to modellix_app;

-- Has the end of each task told to a link: {"url", "lane"}. Called inside the transaction that accepts the tasks.
create or replace function webhooks.subscribe(p_task uuid[], p_link json[]) returns void language sql as $$
    insert into webhooks.subscription (task_id, url, lane)
    select task_id, link ->> 'url', link ->> 'lane' from unnest(p_task, p_link) as a (task_id, link)
$$;
grant execute on function webhooks.subscribe to modellix_app;

-- Reports on attempts, each only while its lease is the last. p_again_in_s null: no more tries. p_disable,
-- where not null, says why the endpoint gets nothing any more; what waits for it has failed then. Returns
-- the endpoints that this call has disabled.
create or replace function webhooks.write_reports(
    p_message uuid[], p_lease int[], p_delivered boolean[], p_again_in_s double precision[], p_status int[],
    p_error text[], p_took_ms int[], p_payload text[], p_disable text[]
) returns setof webhooks.endpoint language sql as $$
    with said as (
        select * from unnest(p_message, p_lease, p_delivered, p_again_in_s, p_status, p_error, p_took_ms, p_payload, p_disable)
            as a (message_id, lease, delivered, again_in_s, status, error, took_ms, payload, disable)
    ), changed as (
        update webhooks.message m set
            tries = m.tries + 1,
            attempts = m.attempts + 1,
            state = case when s.delivered then 'delivered' when s.again_in_s is null then 'failed' else 'waiting' end,
            ended_at = case when s.delivered or s.again_in_s is null then now() end,
            due_at = now() + make_interval(secs => coalesce(s.again_in_s, 0)),
            payload = case when not s.delivered or m.task_id is null then coalesce(m.payload, s.payload) end
        from said s where m.id = s.message_id and m.lease = s.lease and m.state = 'waiting'
        returning m.id, m.attempts, m.endpoint_id, s.*
    ), logged as (
        insert into webhooks.delivery_attempt (message_id, n, status, error, took_ms)
        select id, attempts, status, error, took_ms from changed
    ), health as (
        select endpoint_id, bool_or(delivered) as delivers, max(disable) as why
        from changed where endpoint_id is not null group by endpoint_id
    ), judged as (
        update webhooks.endpoint p set
            failing_since = case when not h.delivers then coalesce(p.failing_since, now()) end,
            disabled_at = case when h.delivers then p.disabled_at else coalesce(p.disabled_at, case when h.why is not null then now() end) end,
            disabled_why = case when h.delivers then p.disabled_why else coalesce(p.disabled_why, h.why) end
        from health h
        where p.id = h.endpoint_id and (not h.delivers or p.failing_since is not null)
        returning p.*, h.why is not null and not h.delivers and p.disabled_at = now() as fell
    ), given_up as (
        update webhooks.message m set state = 'failed', ended_at = now()
        from judged j where j.fell and m.endpoint_id = j.id and m.state = 'waiting'
            and not exists (select from changed c where c.id = m.id)
    )
    select id, team_id, live, url, lane, created_at, failing_since, disabled_at, disabled_why from judged where fell
$$;
grant execute on function webhooks.write_reports to modellix_app;

revoke execute on all functions in schema webhooks from public;


-- ===================================================== audit ======================================================
-- Who changed what, when and from where: rows are only added, and each carries a hash over itself and the row before
-- it.
create schema audit;

create table audit.audit_entry (
    seq bigint not null,                      -- 1, 2, 3 …: without gaps
    at timestamptz not null,
    actor text not null,                      -- admin:name, key:7, leak report
    origin text not null,                     -- the host or the address it came from
    action text not null,
    subject text not null,                    -- team:1, key:7, upstream:dashscope
    team_id bigint,
    details json not null,                    -- json, not jsonb: its text is hashed
    previous bytea not null,
    hash bytea not null,
    constraint audit_entry_pkey primary key (seq),
    constraint audit_entry_action_check check (action ~ '^[a-z_]+\.[a-z_]+$'::text),
    constraint audit_entry_actor_check check (length(actor) >= 1 and length(actor) <= 200),
    constraint audit_entry_details_check check (octet_length(details::text) <= 8192),
    constraint audit_entry_hash_check check (length(hash) = 32),
    constraint audit_entry_origin_check check (length(origin) >= 1 and length(origin) <= 200),
    constraint audit_entry_previous_check check (length(previous) = 32),
    constraint audit_entry_subject_check check (length(subject) >= 1 and length(subject) <= 200)
);
create index audit_entry_of_team on audit.audit_entry (team_id, seq) where team_id is not null;

-- The end of the chain. Its lock puts writers in a row until they commit; only acts of people take it.
create table audit.head (
    only_one boolean not null default true,
    seq bigint not null,
    hash bytea not null,
    constraint head_pkey primary key (only_one),
    constraint head_only_one_check check (only_one)
);

grant usage on schema audit to modellix_app;
grant select on audit.audit_entry to modellix_app;
grant select on audit.head to modellix_app;

-- SHA-256 over the previous hash and the fields, each as `<bytes>:<text>,` so that no two lists look alike.
create or replace function audit.chained(p_previous bytea, p_fields text[]) returns bytea
language sql immutable set search_path = pg_catalog as $$
    select sha256(p_previous || (
        select string_agg(
            convert_to(octet_length(convert_to(field, 'UTF8')) || ':' || field || ',', 'UTF8'), ''::bytea order by nth)
        from unnest(p_fields) with ordinality as f (field, nth)))
$$;
grant execute on function audit.chained to modellix_app;

-- Adds an entry; to be called last in the transaction of the change it tells about.
create or replace function audit.record(
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
    insert into audit.audit_entry (seq, at, actor, origin, action, subject, team_id, details, previous, hash)
    values (last.seq + 1, moment, p_actor, p_origin, p_action, p_subject, p_team, p_details, last.hash, made);
    update audit.head set seq = last.seq + 1, hash = made;
    return last.seq + 1;
end
$$;
grant execute on function audit.record to modellix_app;

-- Not even the owner's programs change an entry by mistake. A superuser can; the chain is for that.
create or replace function audit.refuse() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end
$$;

revoke execute on all functions in schema audit from public;

create or replace trigger append_only before delete or update or truncate on audit.audit_entry for each statement execute function audit.refuse();


-- ====================================================== mail ======================================================
-- Messages to people: written in the transaction that causes them, sent by a worker.
create schema mail;

create table mail.outbox (
    id uuid not null default gen_random_uuid(),
    recipient text not null,
    kind text not null,                       -- the template: sign_in_code, invitation, notice
    subject text not null,
    -- plain text; deleted when the message has ended, as it may hold a code or a link
    body text,
    code text,                                -- the code in it, for the terminal of `up`; deleted with the body
    state text not null default 'waiting'::text,
    created_at timestamptz not null default now(),
    due_at timestamptz not null default now(),
    useless_at timestamptz not null,          -- it is not sent later than this
    lease integer not null default 0,         -- raised by every lease: a former holder's report no longer matches
    tries integer not null default 0,
    error text,                               -- of the last try
    ended_at timestamptz,
    constraint outbox_pkey primary key (id),
    constraint outbox_check check ((ended_at is null) = (state = 'waiting'::text)),
    constraint outbox_check1 check (state = 'waiting'::text or body is null and code is null),
    constraint outbox_recipient_check check (length(recipient) <= 254),
    constraint outbox_state_check check (state = any (array['waiting'::text, 'sent'::text, 'failed'::text])),
    constraint outbox_subject_check check (subject !~ '[[:cntrl:]]'::text)
);
create index outbox_due on mail.outbox (due_at) where state = 'waiting'::text;
create index outbox_ended on mail.outbox (ended_at) where state <> 'waiting'::text;

grant usage on schema mail to modellix_app;
grant delete, insert, select on mail.outbox to modellix_app;
grant update (body, code, due_at, ended_at, error, lease, state, tries) on mail.outbox to modellix_app;


-- ==================================================== budgets =====================================================
-- What a key or a whole team may spend in a period.
create schema budgets;

-- A limit in force, or one that was until ended_at; another period is another budget.
create table budgets.budget (
    id bigint generated always as identity,
    team_id bigint not null,
    live boolean not null,
    key_id bigint,                            -- null: of all keys of the team in this mode, and of the console
    amount bigint not null,                   -- micro-dollars
    period text not null,
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    constraint budget_pkey primary key (id),
    constraint budget_amount_check check (amount >= 0),
    constraint budget_period_check check (period = any (array['none'::text, 'daily'::text, 'weekly'::text, 'monthly'::text]))
);
create index budget_in_force on budgets.budget (team_id) where ended_at is null;
create unique index budget_of_key on budgets.budget (key_id) where key_id is not null and ended_at is null;
create unique index budget_of_team on budgets.budget (team_id, live) where key_id is null and ended_at is null;

-- Sums of the charges of one budget in one period.
create table budgets.use (
    budget_id bigint not null,
    starts timestamptz not null,              -- of the period in UTC; 1970 for a budget that does not reset
    held bigint not null default 0,           -- by unfinished tasks
    used bigint not null default 0,           -- captured of tasks that ended
    carried bigint not null default 0,        -- the part of `used` whose charges were dropped
    refused_amount bigint,                    -- the amount of the budget when a task did not fit; null: each did
    constraint use_pkey primary key (budget_id, starts),
    constraint use_budget_id_fkey foreign key (budget_id) references budgets.budget(id),
    constraint use_carried_check check (carried >= 0),
    constraint use_held_check check (held >= 0),
    constraint use_used_check check (used >= 0)
) with (fillfactor=50);

-- What one task counts in one budget.
create table budgets.charge (
    task_id uuid not null,
    budget_id bigint not null,
    starts timestamptz not null,
    amount bigint not null,                   -- held at accept
    captured bigint,                          -- null while the task is unfinished
    constraint charge_pkey primary key (task_id, budget_id),
    constraint charge_budget_id_fkey foreign key (budget_id) references budgets.budget(id),
    constraint charge_amount_check check (amount >= 0),
    constraint charge_check check (captured >= 0 and captured <= amount)
);
create index charge_of_budget on budgets.charge (budget_id, task_id);
create index charge_open on budgets.charge (budget_id) where captured is null;

-- Thresholds that budgets have reached and that were told.
create table budgets.told (
    budget_id bigint not null,
    starts timestamptz not null,
    percent smallint not null,
    amount bigint not null,                   -- of the budget then, micro-dollars
    at timestamptz not null default now(),
    constraint told_pkey primary key (budget_id, starts, percent),
    constraint told_budget_id_fkey foreign key (budget_id) references budgets.budget(id)
);

grant usage on schema budgets to modellix_app;
grant select on budgets.budget to modellix_app;
grant select on budgets.charge to modellix_app;
grant select on budgets.told to modellix_app;
grant select on budgets.use to modellix_app;

-- What a key, and its team in a mode, may still spend in this period: null where there is no budget. One row. A plain
-- SELECT, so that the planner folds it into the calling query.
create or replace function budgets.available(p_team bigint, p_live boolean, p_key bigint)
returns table (of_key bigint, of_team bigint) language sql stable as $$
    select
        (select b.amount - coalesce(u.held + u.used, 0)
         from budgets.budget b left join budgets.use u
             on u.budget_id = b.id and u.starts = budgets.period_start(b.period, now())
         where b.key_id = p_key and b.ended_at is null),
        (select b.amount - coalesce(u.held + u.used, 0)
         from budgets.budget b left join budgets.use u
             on u.budget_id = b.id and u.starts = budgets.period_start(b.period, now())
         where b.team_id = p_team and b.live = p_live and b.key_id is null and b.ended_at is null)
$$;
grant execute on function budgets.available to modellix_app;

-- The budgets that unfinished ones of these tasks count in. A plain SELECT, so that the planner folds it into the caller's.
create or replace function budgets.charged(p_tasks uuid[]) returns setof bigint language sql stable as $$
    select budget_id from budgets.charge where task_id = any (p_tasks) and captured is null
$$;
grant execute on function budgets.charged to modellix_app;

-- Every charge. A plain SELECT, so that the planner folds it into the calling query.
create or replace function budgets.charges() returns table (
    task_id uuid, budget_id bigint, team_id bigint, live boolean, key_id bigint, amount bigint, captured bigint
) language sql stable as $$
    select c.task_id, b.id, b.team_id, b.live, b.key_id, c.amount, c.captured
    from budgets.charge c join budgets.budget b on b.id = c.budget_id
$$;
grant execute on function budgets.charges to modellix_app;

-- Where the use of a budget is not the sum of its charges: in all of it, or (`p_open`) in what unfinished tasks hold,
-- which reads those alone. A plain SELECT, so that the planner folds it into the calling query.
create or replace function budgets.differences(p_open boolean) returns table (
    budget_id bigint, team_id bigint, live boolean, held bigint, used bigint, held_by_charges bigint, used_by_charges bigint
) language sql stable as $$
    select b.id, b.team_id, b.live, coalesce(u.held, 0), coalesce(u.used, 0), coalesce(c.held, 0),
        case when p_open then coalesce(u.used, 0) else coalesce(c.used, 0) + coalesce(u.carried, 0) end
    from (select budget_id, sum(held)::bigint as held, sum(used)::bigint as used, sum(carried)::bigint as carried
          from budgets.use group by 1) u
    full join (
        select budget_id, coalesce(sum(amount) filter (where captured is null), 0)::bigint as held,
            coalesce(sum(captured), 0)::bigint as used
        from budgets.charge where captured is null or not p_open group by 1) c using (budget_id)
    join budgets.budget b on b.id = budget_id
    where coalesce(u.held, 0) <> coalesce(c.held, 0)
        or (not p_open and coalesce(u.used, 0) <> coalesce(c.used, 0) + coalesce(u.carried, 0))
$$;
grant execute on function budgets.differences to modellix_app;

-- Drops charges of ended tasks before `p_before` of one account, at most `p_most`, and sums of periods that nobody asks for
-- any more; returns how many charges. The sums that are still asked for keep what the charges cost.
create or replace function budgets.forget(p_team bigint, p_live boolean, p_before uuid, p_since timestamptz, p_most int)
returns int language plpgsql security definer set search_path = pg_catalog as $$
declare
    dropped int;
begin
    perform ledger.lock(array[p_team], array[p_live]);
    with old as (
        select c.task_id, c.budget_id from budgets.budget b join budgets.charge c on c.budget_id = b.id
        where b.team_id = p_team and b.live = p_live and c.task_id < p_before and c.captured is not null limit p_most
    ), gone as (
        delete from budgets.charge c using old
        where c.task_id = old.task_id and c.budget_id = old.budget_id returning c.budget_id, c.starts, c.captured
    ), summed as (
        update budgets.use u set carried = u.carried + g.captured
        from (select budget_id, starts, sum(captured) as captured from gone group by 1, 2) g
        where u.budget_id = g.budget_id and u.starts = g.starts
    )
    select count(*) into dropped from gone;
    if dropped < p_most then
        delete from budgets.use u using budgets.budget b
        where b.id = u.budget_id and b.team_id = p_team and b.live = p_live and u.held = 0 and u.used = u.carried
            and coalesce(budgets.period_end(b.period, u.starts), b.ended_at) < p_since;
        delete from budgets.told t using budgets.budget b
        where b.id = t.budget_id and b.team_id = p_team and b.live = p_live
            and coalesce(budgets.period_end(b.period, t.starts), b.ended_at) < p_since;
    end if;
    return dropped;
end
$$;
grant execute on function budgets.forget to modellix_app;

-- Counts those of these tasks that were chosen in the budgets of their keys and teams. The caller holds the locks on the
-- balances, which guard budgets too, and has chosen what fits; a wrong choice fails as a whole rather than exceed a budget.
create or replace function budgets.hold(
    p_team bigint[], p_live boolean[], p_amount bigint[], p_task uuid[], p_key bigint[], p_chosen boolean[]
) returns void language plpgsql security definer set search_path = pg_catalog as $$
begin
    with added as (
        insert into budgets.charge (task_id, budget_id, starts, amount)
        select a.task_id, b.id, budgets.period_start(b.period, now()), a.amount
        from unnest(p_team, p_live, p_amount, p_task, p_key, p_chosen)
            as a (team_id, live, amount, task_id, key_id, chosen)
        join budgets.budget b on b.ended_at is null and b.team_id = a.team_id and b.live = a.live
            and (b.key_id is null or b.key_id = a.key_id)
        where a.chosen
        returning budget_id, starts, amount
    )
    insert into budgets.use as u (budget_id, starts, held)
    select budget_id, starts, sum(amount) from added group by budget_id, starts
    on conflict (budget_id, starts) do update set held = u.held + excluded.held;

    if exists (
        select from budgets.budget b
        join budgets.use u on u.budget_id = b.id and u.starts = budgets.period_start(b.period, now())
        where b.id in (select budget_id from budgets.charge where task_id = any (p_task) and amount > 0)
            and u.held + u.used > b.amount
    ) then
        raise exception 'a budget does not cover this' using errcode = 'check_violation';
    end if;
end
$$;
grant execute on function budgets.hold(bigint[], boolean[], bigint[], uuid[], bigint[], boolean[]) to modellix_app;

-- The budgets in force of these teams and of their keys. A plain SELECT, so that the planner folds it into the caller's.
create or replace function budgets.in_force(p_teams bigint[]) returns setof bigint language sql stable as $$
    select id from budgets.budget where team_id = any (p_teams) and ended_at is null
$$;
grant execute on function budgets.in_force to modellix_app;

-- Notes that a task did not fit into a budget in this period: it counts as wholly used, though something may be left. One
-- budget a call, so that no caller holds one row while it waits for another.
create or replace function budgets.note_refusal(p_budget bigint) returns void
language sql security definer set search_path = pg_catalog as $$
    insert into budgets.use as u (budget_id, starts, refused_amount)
    select id, budgets.period_start(period, now()), amount from budgets.budget where id = p_budget and ended_at is null
    on conflict (budget_id, starts) do update set refused_amount = excluded.refused_amount
    where u.refused_amount is distinct from excluded.refused_amount
$$;
grant execute on function budgets.note_refusal to modellix_app;

-- When a period that began at a moment resets; null for never.
create or replace function budgets.period_end(p_period text, p_starts timestamptz) returns timestamptz
language sql stable as $$
    select (p_starts at time zone 'UTC' + case p_period
        when 'daily' then interval '1 day' when 'weekly' then interval '1 week' when 'monthly' then interval '1 month'
        end) at time zone 'UTC'
$$;
grant execute on function budgets.period_end to modellix_app;

-- When the period that contains a moment began, in UTC; weeks begin on Monday.
create or replace function budgets.period_start(p_period text, p_at timestamptz) returns timestamptz
language sql stable as $$
    select case p_period
        when 'daily' then date_trunc('day', p_at, 'UTC')
        when 'weekly' then date_trunc('week', p_at, 'UTC')
        when 'monthly' then date_trunc('month', p_at, 'UTC')
        else 'epoch'::timestamptz end
$$;
grant execute on function budgets.period_start to modellix_app;

-- Sets, changes or (`p_amount` null) ends the budget of a key, or of a team where `p_key` is null. What was spent in the
-- period still counts, unless the length of the period changes: that is another budget, which begins at zero.
create or replace function budgets.put(p_team bigint, p_live boolean, p_key bigint, p_amount bigint, p_period text)
returns void language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ledger.lock(array[p_team], array[p_live]);
    update budgets.budget set ended_at = now()
    where team_id = p_team and live = p_live and key_id is not distinct from p_key and ended_at is null
        and (p_amount is null or period <> p_period);
    if p_amount is null then
        return;
    end if;
    update budgets.budget set amount = p_amount
    where team_id = p_team and live = p_live and key_id is not distinct from p_key and ended_at is null;
    if not found then
        insert into budgets.budget (team_id, live, key_id, amount, period)
        values (p_team, p_live, p_key, p_amount, p_period);
    end if;
end
$$;
grant execute on function budgets.put to modellix_app;

-- Makes the use of an account's budgets what its charges say. The caller holds the lock on the balance.
create or replace function budgets.rebuild(p_team bigint, p_live boolean) returns void
language sql security definer set search_path = pg_catalog as $$
    update budgets.use u set held = s.held, used = u.carried + s.used
    from (
        select o.budget_id, o.starts, coalesce(sum(c.amount) filter (where c.captured is null), 0) as held,
            coalesce(sum(c.captured), 0) as used
        from budgets.budget b join budgets.use o on o.budget_id = b.id
        left join budgets.charge c on c.budget_id = o.budget_id and c.starts = o.starts
        where b.team_id = p_team and b.live = p_live group by 1, 2) s
    where u.budget_id = s.budget_id and u.starts = s.starts
$$;
grant execute on function budgets.rebuild to modellix_app;

-- Ends what tasks hold in budgets and counts `p_capture` of each, in the period in which the task was accepted. Tasks
-- without a budget are passed over. The caller holds the locks on the balances.
create or replace function budgets.settle(p_task uuid[], p_capture bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    with ended as (
        update budgets.charge c set captured = a.capture
        from unnest(p_task, p_capture) as a (task_id, capture)
        where c.task_id = a.task_id and c.captured is null
        returning c.budget_id, c.starts, c.amount, c.captured
    )
    update budgets.use u set held = u.held - e.amount, used = u.used + e.captured
    from (select budget_id, starts, sum(amount) as amount, sum(captured) as captured from ended group by 1, 2) e
    where u.budget_id = e.budget_id and u.starts = e.starts;
end
$$;
grant execute on function budgets.settle to modellix_app;

-- Thresholds, in percent, that budgets have reached in this period, or in one that ended in the last ten minutes, and that
-- were not told yet: they count as told when the caller's transaction commits. After the amount was raised they count anew.
-- 100 is reached too when a task did not fit. Of several callers at once one gets each.
create or replace function budgets.take_reached(p_percents int[]) returns table (
    budget_id bigint, team_id bigint, live boolean, key_id bigint, amount bigint, period text, held bigint, used bigint,
    resets_at timestamptz, percent int
) language sql security definer set search_path = pg_catalog as $$
    with reached as (
        select b.id, b.team_id, b.live, b.key_id, b.amount, b.period, u.starts, u.held, u.used, p as percent
        from budgets.budget b join budgets.use u on u.budget_id = b.id cross join unnest(p_percents) p
        where b.ended_at is null and b.amount > 0
            and u.starts in (budgets.period_start(b.period, now()), budgets.period_start(b.period, now() - interval '10 minutes'))
            and ((u.held + u.used) * 100 >= b.amount * p or (p = 100 and u.refused_amount >= b.amount))
    ), told as (
        insert into budgets.told as t (budget_id, starts, percent, amount)
        select id, starts, percent, amount from reached order by id, starts, percent
        on conflict (budget_id, starts, percent) do update set amount = excluded.amount, at = now()
        where t.amount < excluded.amount
        returning t.budget_id, t.starts, t.percent
    )
    select distinct on (r.id, r.starts) r.id, r.team_id, r.live, r.key_id, r.amount, r.period, r.held, r.used,
        budgets.period_end(r.period, r.starts), r.percent
    from reached r join told t on t.budget_id = r.id and t.starts = r.starts and t.percent = r.percent
    order by r.id, r.starts, r.percent desc
$$;
grant execute on function budgets.take_reached to modellix_app;

revoke execute on all functions in schema budgets from public;


-- ==================================================== billing =====================================================
-- How money comes in: redemption codes, recharges, and alerts about balances.
create schema billing;

-- Redemption codes made together, each worth the same.
create table billing.code_batch (
    id bigint generated always as identity,
    name text not null,
    live boolean not null,
    amount bigint not null,                   -- micro-dollars of each code
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    created_by text not null,
    revoked_at timestamptz,
    constraint code_batch_pkey primary key (id),
    constraint code_batch_amount_check check (amount > 0),
    constraint code_batch_name_check check (name ~ '^[^[:cntrl:]]{1,100}$'::text)
);

-- One redemption code, used up by one team once.
create table billing.code (
    id bigint generated always as identity,
    batch_id bigint constraint code_batch_id_not_null1 not null,
    hash bytea not null,                      -- HMAC under the pepper; the code itself is shown once and kept nowhere
    ending text not null,                     -- its last characters, by which people recognise it
    team_id bigint,
    redeemed_at timestamptz,
    redeemed_by text,
    constraint code_pkey primary key (id),
    constraint code_hash_key unique (hash),
    constraint code_batch_id_fkey foreign key (batch_id) references billing.code_batch(id),
    constraint code_check check ((redeemed_at is null) = (team_id is null) and (redeemed_at is null) = (redeemed_by is null))
);
create index code_of_batch on billing.code (batch_id);

-- Wrong codes that a team entered within the last window; a code is counted before it is compared.
create table billing.guess (
    team_id bigint not null,
    window_start timestamptz not null,
    count integer not null,
    constraint guess_pkey primary key (team_id)
);

-- One attempt of a team to put money in. Credited once at most, whatever the provider says how often.
create table billing.recharge (
    id uuid not null,
    team_id bigint not null,
    live boolean not null,
    provider text not null,
    -- micro-dollars, whole cents; what the provider must have taken before anything is credited
    amount bigint not null,
    currency text not null,
    -- open: not paid; waiting: the bank has not said yet; refused: paid otherwise than ordered, nothing credited, see
    -- the reviews
    state text not null default 'open'::text,
    checkout_id text,
    payment_id text,                          -- the provider's payment: unique, so that one payment is credited once
    pay_url text,
    created_at timestamptz not null default now(),
    created_by text not null,
    changed_at timestamptz not null default now(),
    paid_at timestamptz,
    taken_back bigint not null default 0,     -- micro-dollars that were refunded or disputed, by the provider's record
    -- the part of taken_back that was spent before it could be taken from the balance
    owed bigint not null default 0,
    version integer not null default 0,
    constraint recharge_pkey primary key (id),
    constraint recharge_amount_check check (amount > 0),
    constraint recharge_check check ((state = 'paid'::text) = (paid_at is not null)),
    constraint recharge_check1 check (0 <= owed and owed <= taken_back and taken_back <= amount),
    constraint recharge_check2 check (state = 'paid'::text or taken_back = 0),
    constraint recharge_state_check check (state = any (array['open'::text, 'waiting'::text, 'paid'::text, 'expired'::text, 'failed'::text, 'refused'::text]))
);
create unique index recharge_checkout on billing.recharge (provider, checkout_id) where checkout_id is not null;
create index recharge_listing on billing.recharge (team_id, live, id);
create index recharge_owed on billing.recharge (team_id, live) where owed > 0;
create unique index recharge_payment on billing.recharge (provider, payment_id) where payment_id is not null;

-- Verified events of payment providers that were acted on.
create table billing.payment_event (
    provider text not null,
    id text not null,
    type text not null,
    recharge_id uuid,
    at timestamptz not null default now(),
    constraint payment_event_pkey primary key (provider, id)
);

-- Which member is told, by mail, when a balance falls below a threshold.
create table billing.alert (
    id bigint generated always as identity,
    team_id bigint not null,
    live boolean not null,
    user_id bigint not null,
    threshold bigint not null,                -- micro-dollars that must be available
    created_at timestamptz not null default now(),
    crossed_at timestamptz,                   -- told then, and the balance has not recovered since
    constraint alert_pkey primary key (id),
    constraint alert_team_id_live_user_id_threshold_key unique (team_id, live, user_id, threshold),
    constraint alert_threshold_check check (threshold > 0)
);

-- Which member is told, by mail, that a budget is nearly or wholly used.
create table billing.budget_alert (
    team_id bigint not null,
    live boolean not null,
    user_id bigint not null,
    constraint budget_alert_pkey primary key (team_id, live, user_id)
);

grant usage on schema billing to modellix_app;
grant delete, insert, select, update on billing.alert to modellix_app;
grant delete, insert, select on billing.budget_alert to modellix_app;
grant insert, select, update on billing.code to modellix_app;
grant insert, select, update on billing.code_batch to modellix_app;
grant insert, select, update on billing.guess to modellix_app;
grant insert, select on billing.payment_event to modellix_app;
grant insert, select, update on billing.recharge to modellix_app;
grant usage on sequence billing.alert_id_seq to modellix_app;
grant usage on sequence billing.code_batch_id_seq to modellix_app;
grant usage on sequence billing.code_id_seq to modellix_app;


-- ================================================= announcements ==================================================
-- What operators tell everybody who uses the console.
create schema announcements;

-- A line of text that pages show between two times
create table announcements.announcement (
    id bigint generated always as identity,
    text text not null,
    urgent boolean not null default false,    -- shown as a warning
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    created_at timestamptz not null default now(),
    created_by text not null,                 -- as the audit log names who acts: user:3
    constraint announcement_pkey primary key (id),
    constraint announcement_check check (ends_at > starts_at),
    constraint announcement_text_check check (length(text) >= 1 and length(text) <= 500 and text !~ '[[:cntrl:]]'::text)
);
create index announcement_ends on announcements.announcement (ends_at);

grant usage on schema announcements to modellix_app;
grant insert, select on announcements.announcement to modellix_app;
grant update (ends_at) on announcements.announcement to modellix_app;
