-- Who was signed out while typing, and signs in by a provider, comes back to what was typed.
alter table identity.outside_sign_in add column kept text check (length(kept) <= 65536);
comment on column identity.outside_sign_in.kept is 'what the browser was about to send, without secrets: a form, to go on with';
