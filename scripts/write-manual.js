// Writes the parts of the manual that are made from the sources: node scripts/write-manual.js. Tests compare them.
import { writeFileSync } from 'node:fs';
import { configManual } from '../src/config/config-manual.ts';
import { errorsPage } from './errors-page.js';

writeFileSync(new URL('../docs/CONFIG.md', import.meta.url), configManual());
writeFileSync(new URL('../docs/ERRORS.md', import.meta.url), errorsPage());
