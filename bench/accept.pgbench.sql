-- What `serve` asks of the database for one submission, as a transaction of its own.
\set team random(1, {teams})
select * from tasks.accept(json_build_array(json_build_object(
    'task_id', {uuid}, 'team_id', :team::bigint, 'live', false, 'key_id', :team::bigint, 'model', '{model}', 'params', '{params}',
    'price', '{price}', 'quote', {quote}, 'deadline_s', {deadline_s}, 'slots', 2000000000, 'wait', false,
    'request_id', 'pgbench')));
