// A reporter for CI: a test that is skipped or left to do fails the run.
export default async function* noSkips(events) {
  for await (const { type, data } of events) {
    if ((type === 'test:pass' || type === 'test:fail') && (data.skip !== undefined || data.todo !== undefined)) {
      process.exitCode = 1;
      yield `Not run: "${data.name}" in ${data.file}. In CI that is a failure.\n`;
    }
  }
}
