#!/bin/sh
# The validation command that the work items name: everything that CI checks before it runs the suites.
set -eu
cd "$(dirname "$0")/.."
exec npm run check
