#!/bin/bash
# A streaming replica of the primary, copied anew at each start: it holds nothing that the primary lacks.
set -euo pipefail
data=/tmp/replica
rm -rf "$data"
pg_basebackup --host=primary --username=postgres --pgdata="$data" --write-recovery-conf --wal-method=stream --checkpoint=fast
chmod 700 "$data"
exec postgres -D "$data" -c listen_addresses='*'
