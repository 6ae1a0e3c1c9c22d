"""Looking after an installation: migrations, backup, restore, doctor.

Of these only a backup needs a principal. The others work where there is no database yet or it does not answer, for
whoever has the secrets of the installation.
"""
