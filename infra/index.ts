import * as pulumi from '@pulumi/pulumi';
import { loadConfig } from './load-config.ts';
import { program } from './program.ts';

/** What `pulumi up` runs: configuration, guards, components, outputs (docs/infra.md names these). */
export default program(loadConfig(pulumi.getStack()));
