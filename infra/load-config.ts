import * as pulumi from '@pulumi/pulumi';
import { allConfig } from '@pulumi/pulumi/runtime/index.js';
import { type Config, ConfigError, parseConfig, placeholders } from './config.ts';

const PROJECT = 'build-factory:';
/** Read by the components that need them, as secrets. */
const SECRETS = ['b2KeyId', 'b2Key', 'awsAccessKeyId', 'awsSecretAccessKey'];

/** Objects and lists arrive as JSON, all else as text. */
function plain(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Every value of the stack's file that is ours. */
export function rawConfig(): Record<string, unknown> {
  const ours = Object.entries(allConfig())
    .filter(([key]) => key.startsWith(PROJECT))
    .map(([key, text]) => [key.slice(PROJECT.length), plain(text)] as const);
  return Object.fromEntries(ours.filter(([key]) => !SECRETS.includes(key)));
}

/** The stack's configuration for a real run. Errors: RunError, which Pulumi prints without a stack trace. */
export function loadConfig(stack: string): Config {
  try {
    const config = parseConfig(stack, rawConfig());
    const left = placeholders(config);
    if (left.length > 0) throw new ConfigError(left);
    return config;
  } catch (error) {
    throw error instanceof ConfigError ? new pulumi.RunError(error.message) : error;
  }
}
