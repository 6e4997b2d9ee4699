#!/usr/bin/env bash
# run_suite.sh BOARD CPU MARKS REASONS PATH...: tests of build/arm/suite on an emulated CPU, and whether all of them ran.
#
# REASONS, a line each, are the only ones for which a test may be skipped. Imports what build/arm/BOARD/site
# holds, with the Python of build/arm/BOARD/userland.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
board=$1 cpu=$2 marks=$3 reasons=$4
shift 4
arm=$(dirname "$here")/build/arm
userland=$arm/$board/userland
export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
cd "$arm/suite"

# What this machine would run, with the same wheel of its own.
PYTHONPATH=${HIDDEN:+$HIDDEN:}$arm/x86_64/site python3 -m pytest -p no:cacheprovider --collect-only -qq -m "$marks" "$@" \
    >"$cpu.counts" || { cat "$cpu.counts" >&2; exit 1; }
status=0
PYTHONPATH=$arm/$board/site "$here/emulate.sh" "$cpu" "$userland" "$(ls "$userland"/usr/bin/python3.??)" \
    -m pytest -q -p no:cacheprovider -m "$marks" --junitxml="$cpu.xml" "$@" >"$cpu.log" 2>&1 || status=1
python3 "$here/check_suite.py" "$cpu.xml" "$cpu.counts" "$reasons" || status=1
[ $status = 0 ] || tail -200 "$cpu.log"
echo "$board as $cpu: $(tail -1 "$cpu.log")"
exit $status
