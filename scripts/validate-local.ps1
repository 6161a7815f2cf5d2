# The validation command that the work items name: everything that CI checks before it runs the suites.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..')
npm run check
exit $LASTEXITCODE
