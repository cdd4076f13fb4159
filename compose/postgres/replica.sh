#!/bin/bash
# Becomes a streaming replica of the primary: copies it at the first start, then follows it. Wants PRIMARY_HOST and PGDATA, a
# directory that does not exist before.
set -euo pipefail

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  PGHOST="$PRIMARY_HOST" PGPORT="${PRIMARY_PORT:-5432}" PGUSER=replication
  PGPASSWORD="$(</run/secrets/postgres-replication-password)"
  export PGHOST PGPORT PGUSER PGPASSWORD
  # An earlier copy may have left its slot behind.
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname postgres --output /dev/null <<'END'
select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'onrush_replica';
select pg_create_physical_replication_slot('onrush_replica');
END
  # A copy counts only when it is whole.
  rm -rf "$PGDATA.fresh"
  pg_basebackup --pgdata "$PGDATA.fresh" --write-recovery-conf --wal-method stream --checkpoint fast --slot onrush_replica
  mv "$PGDATA.fresh" "$PGDATA"
  unset PGHOST PGPORT PGUSER PGPASSWORD
fi
exec postgres -D "$PGDATA" "$@"
