-- What `serve` asks of the database for one submission, as a transaction of its own.
\set team random(1, {teams})
select * from tasks.accept(array[{uuid}], array[:team::bigint], array[false], array[:team::bigint],
    array['{model}'], array['{params}'], array['{price}'], array[{quote}::bigint], array[{deadline_s}],
    array[2000000000], array[null::text], array[null::bytea], array[false], array['pgbench']);
