-- What docs/schema.sql and psql's \d+ show beside tables and columns.
comment on schema results is
    'What is in the storage and when it goes: files of finished tasks, and media that came in bodies.';
comment on column results.result.resources is
    'JSON of the resources, as stored at success';
comment on column results.result.deleting_until is
    'a process is deleting the files and has until then';
comment on table results.upload is
    'Files that teams upload to use them as inputs. The bytes lie under their digest, as those that came in bodies do: results.input says until when, and that is never before the last upload of the same bytes has expired.';
