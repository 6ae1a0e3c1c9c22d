-- Announcements: what operators tell everybody who uses the console, between two times.
create schema announcements;
grant usage on schema announcements to modellix_app;

create table announcements.announcement (
    id bigint generated always as identity primary key,
    text text not null check (length(text) between 1 and 500 and text !~ '[[:cntrl:]]'),
    urgent boolean not null default false,
    starts_at timestamptz not null,
    ends_at timestamptz not null check (ends_at > starts_at),
    created_at timestamptz not null default now(),
    created_by text not null
);
create index announcement_ends on announcements.announcement (ends_at);
comment on schema announcements is 'What operators tell everybody who uses the console.';
comment on table announcements.announcement is 'A line of text that pages show between two times';
comment on column announcements.announcement.urgent is 'shown as a warning';
comment on column announcements.announcement.created_by is 'as the audit log names who acts: user:3';

grant select, insert on announcements.announcement to modellix_app;
grant update (ends_at) on announcements.announcement to modellix_app;
