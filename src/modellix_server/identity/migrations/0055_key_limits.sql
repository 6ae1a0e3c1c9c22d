-- What a key may do, until when, its former texts, and when it was last used.
alter table identity.api_key
    add column models text[] not null default '{}',
    add column types text[] not null default '{}',
    add column expires_at timestamptz,
    add column deleted_at timestamptz;
comment on column identity.api_key.models is 'what it may use, beside the models of `types`; both empty: every model';
comment on column identity.api_key.expires_at is 'refused from then on';
comment on column identity.api_key.deleted_at is 'not shown any more; the row stays, as the books name it';
grant update (models, types, expires_at, deleted_at) on identity.api_key to modellix_app;

create table identity.rotated_key (
    hash bytea primary key check (length(hash) = 32),
    key_id bigint not null references identity.api_key,
    ends_at timestamptz not null
);
create index rotated_key_of_key on identity.rotated_key (key_id);
comment on table identity.rotated_key is 'Former texts of keys, which work until their overlap ends.';
grant select on identity.rotated_key to modellix_app;

create table identity.key_use (
    key_id bigint primary key references identity.api_key,
    used_at timestamptz not null
) with (fillfactor = 50);
comment on table identity.key_use is 'When a key was last used, to within a minute. Apart from the keys, as a change of those empties caches.';
grant select, insert, update (used_at) on identity.key_use to modellix_app;
