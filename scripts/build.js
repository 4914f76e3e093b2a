// npm run build: compiles src to dist, and takes along what is no TypeScript.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, rmSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);
cpSync('src/drivers/redis/scripts', 'dist/drivers/redis/scripts', { recursive: true });
// In a clone nobody installs the package, and npx runs the file as it is.
chmodSync('dist/bin/afterwrite.js', 0o755);
