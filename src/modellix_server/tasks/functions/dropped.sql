-- What no release calls.
drop function if exists tasks.admit(tasks.submission[], boolean);
drop type if exists tasks.submission;
drop function if exists tasks.accept(
    uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], int[], text[], bytea[], boolean[]);
drop function if exists tasks.accept(
    uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], int[], text[], bytea[], boolean[],
    text[]);
drop function if exists tasks.admit(
    text[], uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], text[], bytea[]);
drop function if exists tasks.admit(
    text[], uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], text[], bytea[], text[]);
drop function if exists tasks.enqueue(
    text[], uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], text[], bytea[]);
drop function if exists tasks.enqueue(
    text[], uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], text[], bytea[], text[]);
