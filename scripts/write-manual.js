// Writes the parts of the manual that are made from the sources. A test compares them.
import { writeFileSync } from 'node:fs';
import { configManual } from '../src/config/config-manual.ts';

writeFileSync(new URL('../docs/CONFIG.md', import.meta.url), configManual());
