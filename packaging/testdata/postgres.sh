#!/bin/sh
# What the image of postgres does at its start, as far as our compose file relies on it: run as root, it makes the
# database that POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB name unless there is one, and becomes the server.
set -e
data=/var/lib/postgresql/data
programs=$(echo /usr/lib/postgresql/*/bin)
as() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }

chown postgres:postgres "$data" /run/postgresql
chmod 700 "$data"
if [ ! -s "$data/PG_VERSION" ]; then
	umask 077
	echo "$POSTGRES_PASSWORD" >/tmp/password
	chown postgres /tmp/password
	as "$programs/initdb" --pgdata "$data" --username "$POSTGRES_USER" --pwfile /tmp/password --auth-host scram-sha-256 --auth-local trust
	rm /tmp/password
	echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
	as "$programs/pg_ctl" --pgdata "$data" --wait --options "-c listen_addresses= -c unix_socket_directories=/tmp" start
	as "$programs/psql" -h /tmp -U "$POSTGRES_USER" -d postgres -v ON_ERROR_STOP=1 -c "CREATE DATABASE \"$POSTGRES_DB\""
	as "$programs/pg_ctl" --pgdata "$data" --wait --mode fast stop
fi
server=$1
shift
exec setpriv --reuid postgres --regid postgres --clear-groups "$programs/$server" -D "$data" -c "listen_addresses=*" "$@"
