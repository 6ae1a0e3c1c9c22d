-- Words of up to 256 consecutive tasks of a team in one mode: what leads a search to the tasks that may match, which are
-- then looked at themselves. The team is a word too, so that one index tells them apart.
create table tasks.search_block (
    team_id bigint not null,
    live boolean not null,
    first uuid not null,
    last uuid not null,
    words tsvector not null,
    primary key (team_id, live, first)
);
create index search_block_words on tasks.search_block using gin (words);
comment on table tasks.search_block is
    'Words of up to 256 consecutive tasks. Later tasks than the last block are searched without.';
comment on column tasks.search_block.words is
    'of the inputs, without positions; and team:<id>:<mode>';
grant select, insert, update on tasks.search_block to modellix_app;
