"""Looking after an installation: migrations, backup, restore, doctor."""
