-- A browser that shows anew who sits there gets a new cookie.
grant update (hash) on identity.session to modellix_app;
