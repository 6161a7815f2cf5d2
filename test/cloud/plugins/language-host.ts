import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { language, languageService, nothing, plugin, serve } from './grpc.ts';

/**
 * Pulumi's language host for Node, which comes with Pulumi's releases only: speaks the protocol and starts the SDK's own
 * runner, which does the work.
 */

const require = createRequire(import.meta.url);
const engine = process.argv.slice(2).find((word) => /^[\w.]+:\d+$/.test(word)) ?? '';
/** How the runner ends when it has told the engine what was wrong. */
const TOLD = 32;

interface RunRequest {
  getMonitorAddress: () => string;
  getProject: () => string;
  getStack: () => string;
  getPwd: () => string;
  getDryrun: () => boolean;
  getParallel: () => number;
  getOrganization: () => string;
  getConfigMap: () => { toObject: () => [string, string][] };
  getConfigsecretkeysList: () => string[];
  getInfo: () => {
    getRootDirectory: () => string;
    getProgramDirectory: () => string;
    getEntryPoint: () => string;
  };
}

function run(request: RunRequest): Promise<number> {
  const info = request.getInfo();
  const args = [
    require.resolve('@pulumi/pulumi/cmd/run/index.js'),
    ...['--monitor', request.getMonitorAddress(), '--engine', engine],
    ...['--project', request.getProject(), '--stack', request.getStack()],
    ...['--organization', request.getOrganization(), '--root-directory', info.getRootDirectory()],
    ...['--pwd', request.getPwd(), '--parallel', String(request.getParallel())],
    ...(request.getDryrun() ? ['--dry-run'] : []),
    info.getEntryPoint(),
  ];
  const child = spawn('node', args, {
    cwd: info.getProgramDirectory(),
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      PULUMI_CONFIG: JSON.stringify(Object.fromEntries(request.getConfigMap().toObject())),
      PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
    },
  });
  process.once('exit', () => child.kill('SIGKILL'));
  return new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
}

interface PluginCall {
  request: {
    getPwd: () => string;
    getArgsList: () => string[];
    getEnvList: () => string[];
    getInfo: () => { getProgramDirectory: () => string };
  };
  write: (answer: unknown) => void;
  end: () => void;
  on: (event: 'cancelled', then: () => void) => void;
}

/** A policy pack is a plugin that the language runs; what it prints goes to the engine. */
function runPlugin(call: PluginCall): void {
  const { request } = call;
  const runner = require.resolve('@pulumi/pulumi/cmd/run-policy-pack/index.js');
  const pairs = request.getEnvList().map((pair) => pair.split(/=(.*)/s).slice(0, 2) as [string, string]);
  const pack = spawn('node', [runner, ...request.getArgsList(), '.'], {
    cwd: request.getInfo().getProgramDirectory(),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...Object.fromEntries(pairs) },
  });
  const answer = (set: (one: PluginAnswer) => void): void => {
    const one = new language.RunPluginResponse() as PluginAnswer;
    set(one);
    call.write(one);
  };
  pack.stdout.on('data', (chunk: Buffer) => answer((one) => one.setStdout(chunk)));
  pack.stderr.on('data', (chunk: Buffer) => answer((one) => one.setStderr(chunk)));
  pack.on('close', (code) => {
    answer((one) => one.setExitcode(code ?? 1));
    call.end();
  });
  call.on('cancelled', () => pack.kill('SIGKILL'));
  process.once('exit', () => pack.kill('SIGKILL'));
}
interface PluginAnswer {
  setStdout: (chunk: Buffer) => void;
  setStderr: (chunk: Buffer) => void;
  setExitcode: (code: number) => void;
}

await serve(
  languageService.LanguageRuntimeService,
  {
    handshake: async () => new language.LanguageHandshakeResponse(),
    getPluginInfo: async () => new plugin.PluginInfo(),
    getRequiredPlugins: async () => new language.GetRequiredPluginsResponse(),
    getRequiredPackages: async () => new language.GetRequiredPackagesResponse(),
    getProgramDependencies: async () => new language.GetProgramDependenciesResponse(),
    about: async () => new language.AboutResponse(),
    cancel: async () => nothing(),
    run: async ({ request }) => {
      const code = await run(request as RunRequest);
      const answer = new language.RunResponse();
      if (code === TOLD) answer.setBail(true);
      else if (code !== 0) answer.setError(`the program ended with ${code}`);
      return answer as unknown;
    },
  },
  { runPlugin },
);
