// Pulumi's entry. Plain JavaScript, because an older Node cannot read what it would say in TypeScript.

const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  process.stderr.write(
    `This program needs Node 24, and Pulumi found ${process.version} on PATH. Run it by: npm run infra -- up -s staging\n`,
  );
  process.exit(1);
}

const { default: outputs } = await import('./index.ts');
export default outputs;
