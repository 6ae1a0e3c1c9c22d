-- Mail: messages are written in the transaction that causes them, and sent by a worker.
create schema mail;
grant usage on schema mail to modellix_app;

create table mail.outbox (
    id uuid primary key default gen_random_uuid(),
    recipient text not null check (length(recipient) <= 254),
    kind text not null,
    subject text not null check (subject !~ '[[:cntrl:]]'),
    body text,
    code text,
    state text not null default 'waiting' check (state in ('waiting', 'sent', 'failed')),
    created_at timestamptz not null default now(),
    due_at timestamptz not null default now(),
    useless_at timestamptz not null,
    lease int not null default 0,
    tries int not null default 0,
    error text,
    ended_at timestamptz,
    check ((ended_at is null) = (state = 'waiting')),
    check (state = 'waiting' or (body is null and code is null))
);
create index outbox_due on mail.outbox (due_at) where state = 'waiting';
create index outbox_ended on mail.outbox (ended_at) where state <> 'waiting';

comment on schema mail is
    'Messages to people: written in the transaction that causes them, sent by a worker.';
comment on column mail.outbox.kind is 'the template: sign_in_code, invitation, notice';
comment on column mail.outbox.body is 'plain text; deleted when the message has ended, as it may hold a code or a link';
comment on column mail.outbox.code is 'the code in it, for the terminal of `up`; deleted with the body';
comment on column mail.outbox.useless_at is 'it is not sent later than this';
comment on column mail.outbox.lease is 'raised by every lease: a former holder''s report no longer matches';
comment on column mail.outbox.error is 'of the last try';

grant select, insert, delete on mail.outbox to modellix_app;
grant update (state, body, code, due_at, lease, tries, error, ended_at) on mail.outbox to modellix_app;
