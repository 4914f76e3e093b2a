#!/bin/bash
# Runs once, when the primary's folder is made: the replica may stream.
set -euo pipefail
echo "host replication postgres all scram-sha-256" >> "$PGDATA/pg_hba.conf"
