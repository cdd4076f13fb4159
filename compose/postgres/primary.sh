#!/bin/bash
# Runs once, in the primary, after its first initdb: the database of onrush with its owner, the account of the replica,
# and TLS.
set -euo pipefail

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set onrush="$(</run/secrets/postgres-password)" \
  --set replication="$(</run/secrets/postgres-replication-password)" <<'END'
create role onrush login password :'onrush';
create database onrush owner onrush;
create role replication login replication password :'replication';
alter system set ssl = on;
-- A replica that is away keeps no more log than this here; then it has to be copied anew.
alter system set max_slot_wal_keep_size = '4GB';
END

# PostgreSQL takes a key only from a file that nobody else can read.
install -m 0600 /run/secrets/postgres.crt "$PGDATA/server.crt"
install -m 0600 /run/secrets/postgres.key "$PGDATA/server.key"

echo "hostssl replication replication all scram-sha-256" >>"$PGDATA/pg_hba.conf"
