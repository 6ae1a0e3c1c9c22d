-- Codes that are sent by mail to sign in.
create table identity.sign_in_code (
    id bigint generated always as identity primary key,
    email text not null,
    user_id bigint references identity.app_user (id),
    hash bytea not null check (length(hash) = 32),
    address text not null,
    tries int not null default 0 check (tries <= 5),
    created_at timestamptz not null default now(),
    ends_at timestamptz not null,
    used_at timestamptz
);
create index sign_in_code_of_email on identity.sign_in_code (email, id);
create index sign_in_code_of_address on identity.sign_in_code (address, created_at);
create index sign_in_code_age on identity.sign_in_code (created_at);
comment on table identity.sign_in_code is 'A code that was asked for. Only its HMAC under the server''s pepper is stored. The newest of an address is good.';
comment on column identity.sign_in_code.user_id is 'null: nobody has this address. The hash is of nothing then, and nothing was sent';
comment on column identity.sign_in_code.address is 'who asked';
comment on column identity.sign_in_code.tries is 'guesses that were compared; raised before the comparison';
grant select, insert, delete on identity.sign_in_code to modellix_app;
grant update (tries, used_at) on identity.sign_in_code to modellix_app;
